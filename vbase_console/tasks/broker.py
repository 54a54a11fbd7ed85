"""Messages to the workers. They only wake: what is to be done stands in the rows, so a message may
be lost, late or doubled, and a broker that does not answer must hold nobody up.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import current_app
from django.conf import settings
from kombu import Queue

from vbase_console.core import outages

logger = logging.getLogger(__name__)

BROKER_RETRY_INTERVAL_SECONDS = 5.0


class Broker:
    """The broker as this process knows it. After a failure it is left alone for a moment: a request
    that comes meanwhile does not wait for the same time-out again.
    """

    def __init__(self) -> None:
        self._ask_again_at = 0.0

    def send(self, task_id: str) -> bool:
        """False where the message was not taken."""
        if time.monotonic() < self._ask_again_at:
            return False
        try:
            current_app.send_task("vbase.run_task", (task_id,), retry=False)
        except Exception as error:
            # Every broker's client has errors of its own, and none of them may undo what the row
            # has accepted.
            logger.warning(
                "%s: wake-up not sent (%s), the next sweep will find the task", task_id, error
            )
            # After the log line, because its first use may import for longer than the pause.
            self._ask_again_at = time.monotonic() + self._silence()
            return False
        outages.broker.end()
        return True

    def backlog(self) -> int:
        """How many messages wait for a worker; 0 where nobody knows."""
        queue = Queue(settings.CELERY_TASK_DEFAULT_QUEUE)
        try:
            with current_app.connection_for_write() as connection, connection.channel() as channel:
                told: Any = queue(channel).queue_declare(passive=True)
                return int(told.message_count)
        except Exception as error:
            # An empty queue is an error to some brokers, and one that is away shows in `send`.
            logger.debug("The length of the queue is not known: %s", error)
            return 0

    def _silence(self) -> float:
        return min(BROKER_RETRY_INTERVAL_SECONDS, float(settings.SWEEP_SECONDS))


broker = Broker()
