"""Beat with a handful of static entries: it only wakes sweeps, and the database decides
which work is due.
"""

from __future__ import annotations

import logging
import signal
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery.apps import beat
from celery.beat import Service
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db.models import QuerySet
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from vbase_console.core import outages
from vbase_console.tasks.models import HEARTBEAT_INTERVAL_SECONDS
from vbase_console.tasks.sweeps import beat_of

logger = logging.getLogger(__name__)

NO_DATABASE = (OperationalError, InterfaceError)
CLOCK_SLACK = timedelta(seconds=1)
PAUSE_SECONDS = 5.0
"""Between two attempts to reach a database that is away."""


class BeatEntry(ModelEntry):  # type: ignore[misc]
    """An entry whose interval may be shorter than a second, which the stock one stores as 0; an
    hour in microseconds is more than PostgreSQL's integer holds.
    """

    @classmethod
    def to_model_schedule(cls, schedule: Any) -> tuple[Any, str]:
        if isinstance(schedule, timedelta):
            seconds = schedule.total_seconds()
            period, every = IntervalSchedule.SECONDS, int(seconds)
            if every != seconds:
                period, every = IntervalSchedule.MICROSECONDS, round(seconds * 1_000_000)
            row, _ = IntervalSchedule.objects.get_or_create(every=every, period=period)
            return row, "interval"
        answer: tuple[Any, str] = super().to_model_schedule(schedule)
        return answer


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """The stock scheduler, but with only our own static entries in its memory, and with a pulse for
    the health answer.

    The stock query for crontab rows cannot be run on SQLite beyond a thousand of them and slows
    with their number.
    """

    BeatEntry = BeatEntry
    producer = None
    """Every message takes one from the pool, which connects anew; the stock one stays with the
    channel that it once opened, and sends nothing more after RabbitMQ was away.
    """
    _pulse_at = 0.0

    def enabled_models(self) -> QuerySet[PeriodicTask]:
        ours: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(
            enabled=True, name__startswith="vbase."
        )
        return ours.select_related("interval", "crontab", "solar", "clocked")

    def install_default_entries(self, data: Any) -> None:
        """The stock one adds a clean-up of results, and we keep none."""

    def setup_schedule(self) -> None:
        """Wait for a database that is away, instead of ending and being started over and over."""
        while True:
            try:
                close_old_connections()
                return super().setup_schedule()  # type: ignore[no-any-return]
            except NO_DATABASE as error:
                self._note(error)
                time.sleep(PAUSE_SECONDS)

    def tick(self, *arguments: Any, **options: Any) -> Any:
        try:
            if time.monotonic() - self._pulse_at > HEARTBEAT_INTERVAL_SECONDS:
                self._pulse_at = time.monotonic()
                beat_of("beat")
            self._forget_the_future()
            return super().tick(*arguments, **options)
        except NO_DATABASE as error:
            self._note(error)
            return PAUSE_SECONDS

    def _forget_the_future(self) -> None:
        """Have entries that were sent "later than now" count from now: after a clock was set back
        they were due only when the old time came again. The row tells when an entry was sent last;
        the entries in memory are older than those in the heap.
        """
        for entry in (self._schedule or {}).values():
            now = entry._default_now()
            if entry.model.last_run_at is not None and entry.model.last_run_at > now + CLOCK_SLACK:
                entry.last_run_at = entry.model.last_run_at = now
                self._heap = None

    def _note(self, error: Exception) -> None:
        connection.close()
        logger.warning("beat: the database does not answer, sweeps are not woken (%s)", error)

    def apply_async(self, *arguments: Any, **options: Any) -> Any:
        result = super().apply_async(*arguments, **options)
        outages.broker.end()
        return result


class Beat(beat.Beat):
    """Celery's handler of signals writes to the database in the middle of whatever it interrupts.
    Where that is a query, one of the two fails, or both wait for each other for ever. Here beat
    leaves its loop first, and writes once more behind it.
    """

    def install_sync_handler(self, service: Service) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)

    def run(self) -> None:
        with suppress(KeyboardInterrupt):
            super().run()
