"""Starts worker programs on the database, the store and the clusters of the test."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

from django.conf import settings
from django.db import connections

from tests.crash.backups import worker as program
from tests.crash.backups.effects import STOPPED, UNHARMED, Fate
from tests.crash.processes import database_of_this_test, wait_until
from tests.crash.programs import Program
from tests.tasks.trials import end_lease
from vbase_console.tasks.models import Task


@dataclasses.dataclass(frozen=True)
class Worker:
    """A process that was started, and what it has told so far."""

    process: Program
    told: Path

    def end(self) -> int:
        return self.process.wait()

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    def rows_read(self) -> int:
        words = (line.split() for line in self.lines())
        return sum(int(each[1]) for each in words if each[0] == "read")

    def effects_after_the_stop(self) -> list[str]:
        lines = self.lines()
        return [line for line in lines[lines.index(STOPPED) + 1 :] if line.startswith("effect")]

    def wait_until_it_stands_still(self) -> None:
        wait_until(lambda: STOPPED in self.lines(), "the worker stands still")

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class Workers:
    """All of one test; none outlives it."""

    def __init__(self, machine: Path, directory: Path) -> None:
        self._machine, self._directory = machine, directory
        self._started: list[Worker] = []

    def start(self, fate: Fate = UNHARMED) -> Worker:
        connections.close_all()
        told = self._directory / f"told-{len(self._started)}"
        process = Program(program.main, str(told), str(fate), environment=self._environment())
        worker = Worker(process, told)
        self._started.append(worker)
        return worker

    def run(self, fate: Fate = UNHARMED) -> Worker:
        worker = self.start(fate)
        worker.end()
        return worker

    def finish(self) -> Worker:
        """Another worker takes over what a dead one left, and does all there is."""
        end_all_leases()
        worker = self.run()
        assert worker.end() == 0
        return worker

    def close(self) -> None:
        for worker in self._started:
            worker.process.kill()
        for worker in self._started:
            worker.end()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.test",
            "VBASE_DATABASE_URL": database_of_this_test(),
            "VBASE_CLUSTER_DRIVER": "embedded",
            "VBASE_DATA_DIR": str(self._machine),
            "VBASE_BACKUP_STORE": str(settings.BACKUP_STORE),
            "VBASE_SECRET_KEY": settings.SECRET_KEY,
            "VBASE_LEASE_SECONDS": "60",
        }


def end_all_leases() -> None:
    for task in Task.objects.filter(lease_until__isnull=False):
        end_lease(task)
