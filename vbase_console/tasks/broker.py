"""Wake-up messages to the workers.

The rows state what is to be done, so a message may be lost, late or repeated, and a request never
waits for a broker that does not answer.
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
    """Connection to the broker. After a failure no message is sent for a moment, so that the next
    request does not wait for the same timeout.
    """

    def __init__(self) -> None:
        self._retry_at = 0.0

    def send(self, task_id: str) -> bool:
        """Send a wake-up. Returns False if the broker did not accept the message."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            _send(task_id)
        except Exception as error:
            # Each broker's client has its own exceptions, and none may roll the accepted row back.
            logger.warning(
                "%s: wake-up not sent (%s), the next sweep will find the task", task_id, error
            )
            # After the log line, because its first use may import for longer than the pause.
            pause = min(BROKER_RETRY_INTERVAL_SECONDS, float(settings.SWEEP_SECONDS))
            self._retry_at = time.monotonic() + pause
            return False
        outages.broker.end()
        return True

    def backlog(self) -> int:
        """Return the number of messages in the queue, or 0 if it is unknown."""
        queue = Queue(settings.CELERY_TASK_DEFAULT_QUEUE)
        try:
            with current_app.connection_for_write() as connection, connection.channel() as channel:
                declared: Any = queue(channel).queue_declare(passive=True)
                return int(declared.message_count)
        except Exception as error:
            # Some brokers report an empty queue as an error; `send` reports an outage.
            logger.debug("queue: length unknown, treated as empty: %s", error)
            return 0


def _send(task_id: str) -> None:
    """Send twice if the connection was lost while the pool kept it: each connection of the pool
    learns of an outage by itself, and the second attempt opens the connection again.
    """
    try:
        current_app.send_task("vbase.run_task", (task_id,), retry=False)
    except Exception as error:
        if not outages.connection_was_lost(error):
            raise
        current_app.send_task("vbase.run_task", (task_id,), retry=False)


broker = Broker()
