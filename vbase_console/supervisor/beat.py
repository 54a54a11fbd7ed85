"""Beat scheduler with static entries that wake sweeps. The database decides which work is due."""

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
"""Pause between two attempts to reach the database during an outage."""


class BeatEntry(ModelEntry):  # type: ignore[misc]
    """Schedule entry whose interval may be shorter than a second, which the base class stores as 0.

    Only such intervals use microseconds, because an hour of them exceeds PostgreSQL's integer.
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
    """Database scheduler that loads only the console's static entries and records a heartbeat.

    The query of the base class for crontab rows slows down with their number and fails on SQLite
    above a thousand.
    """

    Entry = BeatEntry
    producer = None
    """None: each message takes a producer from the pool, which reconnects. The base class keeps its
    first channel and sends nothing after RabbitMQ was unavailable.
    """
    _heartbeat_at = 0.0

    def enabled_models(self) -> QuerySet[PeriodicTask]:
        entries: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(
            enabled=True, name__in=list(self.app.conf.beat_schedule)
        )
        return entries.select_related("interval", "crontab", "solar", "clocked")

    def install_default_entries(self, data: Any) -> None:
        """Install nothing: the default entry deletes results, and the console stores none."""

    def setup_schedule(self) -> None:
        """Load the entries. Waits during a database outage, so that beat is not restarted."""
        while True:
            try:
                close_old_connections()
                return super().setup_schedule()  # type: ignore[no-any-return]
            except NO_DATABASE as error:
                self._note(error)
                time.sleep(PAUSE_SECONDS)

    def tick(self, *arguments: Any, **options: Any) -> Any:
        try:
            if time.monotonic() - self._heartbeat_at > HEARTBEAT_INTERVAL_SECONDS:
                self._heartbeat_at = time.monotonic()
                beat_of("beat")
            self._correct_future_times()
            return super().tick(*arguments, **options)
        except NO_DATABASE as error:
            self._note(error)
            return PAUSE_SECONDS

    def _correct_future_times(self) -> None:
        """Set last runs in the future to now, because after a clock was set back the entries would
        not be due until the old time. Reads the rows, because the entries in memory are older than
        those in the heap.
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
    """Beat program that leaves its loop on a signal, and then writes to the database.

    Celery's signal handler writes inside the interrupted code. If that is a query, one of the two
    fails, or both wait for each other for ever.
    """

    def install_sync_handler(self, service: Service) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler)

    def run(self) -> None:
        with suppress(KeyboardInterrupt):
            super().run()
