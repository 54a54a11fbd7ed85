"""Heartbeats of worker processes: each reports in its own row that it takes messages.

A worker whose broker refuses it looks alive from outside: the process reconnects forever. A worker
that takes no messages although its broker answers is stuck: it ends, and is started again.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import Celery, bootsteps
from celery.exceptions import CPendingDeprecationWarning
from django.db import DatabaseError, InterfaceError, connections
from django.db.utils import load_backend

from vbase_console.core import outages
from vbase_console.tasks.models import HEARTBEAT_INTERVAL_SECONDS, Heartbeat
from vbase_console.tasks.sweeps import beat_of

logger = logging.getLogger(__name__)

NO_DATABASE = (DatabaseError, InterfaceError)

# Celery's advice to cancel tasks when the broker is lost. Ours continue: the row is the truth, not
# the message. Set here, because a worker replaces earlier filters while it starts.
warnings.filterwarnings("ignore", "\\s*In Celery 5.1 we", CPendingDeprecationWarning)

STEADY_AFTER_SECONDS = 2.0
"""A consumer that the broker disconnects earlier takes no messages, even if it reconnects."""
STALLED_AFTER_SECONDS = 15.0
"""An event loop that has not ticked for this time waits for an answer that never comes."""
CHECK_EVERY_SECONDS = 1.0
ASK_BROKER_EVERY_SECONDS = 5.0
BROKER_ANSWER_SECONDS = 5.0
STUCK_AFTER_SECONDS = 60.0
"""A worker without messages ends after this time with a broker that answers. Celery 5.7 waits
forever if the broker resets the connection while a message is acknowledged.
"""


class Consumption(bootsteps.StartStopStep):
    """Last start-up step of a worker: started when the worker consumes its queues, stopped when the
    broker is lost.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    ticks: Any = None

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        runs_tasks = "tasks" in consumer.app.amqp.queues.consume_from
        part = f"{'worker' if runs_tasks else 'sweeper'}:{uuid.uuid4().hex[:8]}"
        slots = consumer.controller.concurrency if runs_tasks else 0
        self.report = Report(part, BrokerProbe(consumer.app).answers, slots=slots)
        threading.Thread(target=self.report.run, name="consumption", daemon=True).start()

    def start(self, consumer: Any) -> None:
        self.report.begin()
        self.ticks = consumer.timer.call_repeatedly(CHECK_EVERY_SECONDS, self._tick)

    def stop(self, consumer: Any) -> None:
        self.report.consuming_since = None
        if self.ticks is not None:
            self.ticks.cancel()
        if consumer.blueprint.state != bootsteps.RUN:  # type: ignore[attr-defined]
            self.report.ended.set()  # the worker stops, and may still work for long

    def _tick(self) -> None:
        self.report.tick()
        if self.report.is_consuming():  # a broker that refuses does so after the connection
            outages.broker.end()


class Report:
    def __init__(self, part: str, broker_answers: Callable[[], bool], *, slots: int = 0) -> None:
        self.part = part
        self.slots = slots
        self.consuming_since: float | None = None
        self.ended = threading.Event()
        self._broker_answers = broker_answers
        self._begun_at: float | None = None
        self._ticked_at = 0.0
        self._ask_at = 0.0
        self._answered_since: float | None = None

    def begin(self) -> None:
        self.consuming_since = self._begun_at = self._ticked_at = time.monotonic()

    def tick(self) -> None:
        """Note that the event loop is running; called by the loop."""
        self._ticked_at = time.monotonic()

    def is_consuming(self) -> bool:
        since, now = self.consuming_since, time.monotonic()
        if since is None or now - self._ticked_at > STALLED_AFTER_SECONDS:
            return False
        return now - since >= STEADY_AFTER_SECONDS

    def is_stuck(self) -> bool:
        """Tell whether the worker has neither taken messages nor begun anew for long, with a broker
        that answers.

        Asks the broker every few seconds while the worker takes no messages.
        """
        if self.is_consuming() or self._begun_at is None:
            self._answered_since = None
            return False
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask_at = now + ASK_BROKER_EVERY_SECONDS
            if not self._broker_answers():
                self._answered_since = None
            elif self._answered_since is None:
                self._answered_since = now
        if self._answered_since is None:
            return False
        return now - max(self._answered_since, self._begun_at) >= STUCK_AFTER_SECONDS

    def run(self) -> None:
        """Write the row on every change and every few seconds, and remove it at the end."""
        _connect_outside_the_pool()
        written, next_at = None, time.monotonic() + HEARTBEAT_INTERVAL_SECONDS
        while not self.ended.wait(CHECK_EVERY_SECONDS):
            is_consuming = self.is_consuming()
            if is_consuming != bool(written) or time.monotonic() >= next_at:
                written, next_at = is_consuming, time.monotonic() + HEARTBEAT_INTERVAL_SECONDS
                self._write(is_consuming)
            if self.is_stuck():
                end_stuck_worker(self.part)
        with suppress(*NO_DATABASE):
            Heartbeat.objects.filter(part=self.part).delete()
        connections["default"].close()

    def _write(self, is_consuming: bool) -> None:
        try:
            beat_of(self.part, is_working=is_consuming, slots=self.slots)
        except NO_DATABASE as error:
            logger.warning("%s: heartbeat not written (%s)", self.part, error)
        finally:
            connections["default"].close()


def end_stuck_worker(part: str) -> None:
    """End this process at once: its main thread, which would end it in order, waits forever.

    Its pool processes end with it, and their tasks are taken over from their leases.
    """
    logger.error(
        "%s: no messages taken for %.0f s although the broker answers; the process ends, so that "
        "its supervisor starts another",
        part,
        STUCK_AFTER_SECONDS,
    )
    logging.shutdown()
    os._exit(os.EX_UNAVAILABLE)


class BrokerProbe:
    """Asks in a thread, because not every broker's client has a time limit for an answer."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._thread: threading.Thread | None = None

    def answers(self) -> bool:
        """Return False after a while without an answer, and as long as an earlier probe waits."""
        if self._thread is not None and self._thread.is_alive():
            return False
        answered = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(answered,), daemon=True)
        self._thread.start()
        return answered.wait(BROKER_ANSWER_SECONDS)

    def _ask(self, answered: threading.Event) -> None:
        try:
            with self._app.connection_for_read() as connection, connection.channel():
                answered.set()
        except Exception as error:
            # Each broker's client has its own exceptions.
            logger.debug("broker: no answer (%s)", error)


def _connect_outside_the_pool() -> None:
    """Give this thread its own connection. Threads of a connection pool do not survive the fork of
    the worker's next process, which would wait for them.
    """
    own = copy.deepcopy(connections.settings["default"])
    own["OPTIONS"].pop("pool", None)
    connections["default"] = load_backend(own["ENGINE"]).DatabaseWrapper(own, "default")
