"""Heartbeats of worker processes: each reports in its own row that it takes messages.

A worker whose broker refuses it looks alive from outside: the process reconnects forever.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
import uuid
import warnings
from contextlib import suppress
from typing import Any

from celery import bootsteps
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


class Consumption(bootsteps.StartStopStep):
    """Last start-up step of a worker: started when the worker consumes its queues, stopped when the
    broker is lost.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    ticks: Any = None

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        kind = "worker" if "tasks" in consumer.app.amqp.queues.consume_from else "sweeper"
        self.report = Report(f"{kind}:{uuid.uuid4().hex[:8]}")
        threading.Thread(target=self.report.run, name="consumption", daemon=True).start()

    def start(self, consumer: Any) -> None:
        outages.broker.end()
        self.report.begin()
        self.ticks = consumer.timer.call_repeatedly(CHECK_EVERY_SECONDS, self.report.tick)

    def stop(self, consumer: Any) -> None:
        self.report.consuming_since = None
        if self.ticks is not None:
            self.ticks.cancel()
        if consumer.blueprint.state != bootsteps.RUN:  # type: ignore[attr-defined]
            self.report.ended.set()  # the worker stops, and may still work for long


class Report:
    def __init__(self, part: str) -> None:
        self.part = part
        self.consuming_since: float | None = None
        self.ended = threading.Event()
        self._ticked_at = 0.0

    def begin(self) -> None:
        self.consuming_since = self._ticked_at = time.monotonic()

    def tick(self) -> None:
        """Note that the event loop is running; called by the loop."""
        self._ticked_at = time.monotonic()

    def is_consuming(self) -> bool:
        since, now = self.consuming_since, time.monotonic()
        if since is None or now - self._ticked_at > STALLED_AFTER_SECONDS:
            return False
        return now - since >= STEADY_AFTER_SECONDS

    def run(self) -> None:
        """Write the row on every change and every few seconds, and remove it at the end."""
        _connect_outside_the_pool()
        written, next_at = None, time.monotonic() + HEARTBEAT_INTERVAL_SECONDS
        while not self.ended.wait(CHECK_EVERY_SECONDS):
            is_consuming = self.is_consuming()
            if is_consuming != bool(written) or time.monotonic() >= next_at:
                written, next_at = is_consuming, time.monotonic() + HEARTBEAT_INTERVAL_SECONDS
                self._write(is_consuming)
        with suppress(*NO_DATABASE):
            Heartbeat.objects.filter(part=self.part).delete()
        connections["default"].close()

    def _write(self, is_consuming: bool) -> None:
        try:
            beat_of(self.part, is_working=is_consuming)
        except NO_DATABASE as error:
            logger.warning("%s: heartbeat not written (%s)", self.part, error)
        finally:
            connections["default"].close()


def _connect_outside_the_pool() -> None:
    """Give this thread its own connection. Threads of a connection pool do not survive the fork of
    the worker's next process, which would wait for them.
    """
    own = copy.deepcopy(connections.settings["default"])
    own["OPTIONS"].pop("pool", None)
    connections["default"] = load_backend(own["ENGINE"]).DatabaseWrapper(own, "default")
