"""Celery's beat as a program that a signal ends."""

from __future__ import annotations

import signal
from contextlib import suppress

from celery.apps import beat
from celery.beat import Service


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
