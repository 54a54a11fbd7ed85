"""Real worker processes on the database of the test, on clusters that several processes share.

They are forked, so that a hundred of them are affordable, and die by a real SIGKILL at a point that
the test names. A point lies before everything that a worker leaves in the world: each step and each
effect of the driver, each write of a task; the point after one of them is the point before the
next, and the last one lies after the end. Nothing in the product knows of them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, connections

from clusters import driver as clusters_driver
from clusters import rollouts
from clusters.drivers import memory
from clusters.drivers.memory import MemoryDriver
from tests.crash.programs import PATIENCE_SECONDS as PATIENCE_SECONDS
from vbase_console.tasks import attempts, services
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task


class Points:
    """Counts, and kills its own process at the n-th one."""

    def __init__(self, die_at: int) -> None:
        self._die_at = die_at
        self._count = 0

    def __call__(self) -> None:
        self._count += 1
        if self._count == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(
        self, owner: Any, name: str, unless: Callable[[Any], bool] = lambda arguments: False
    ) -> None:
        original = getattr(owner, name)

        def pointed(*arguments: Any, **named: Any) -> Any:
            if not unless(arguments):
                self()
            return original(*arguments, **named)

        setattr(owner, name, pointed)


def shared_driver(directory: Path, *, step_seconds: float = 0.0) -> MemoryDriver:
    """Make this process use the clusters in that directory."""
    driver = MemoryDriver(directory=directory, step_seconds=step_seconds)
    clusters_driver.load_driver = lambda *a, **k: driver  # type: ignore[assignment]
    clusters_driver.get_driver.cache_clear()
    return driver


def start_worker(
    directory: Path,
    *,
    die_at: int = 0,
    step_seconds: float = 0.0,
    at_step: Callable[[str], None] = lambda phase: None,
) -> ForkProcess:
    """A worker that does what there is and ends when nothing is left; `at_step` is called in it."""
    connections.close_all()

    def work() -> None:
        driver = shared_driver(directory, step_seconds=step_seconds)
        _call_at_steps(driver, at_step)
        _instrument(driver, Points(die_at))
        work_until_nothing_is_left()
        connections.close_all()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def exit_code(process: ForkProcess) -> int:
    process.join(PATIENCE_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("The worker did not end.")
    return process.exitcode


def run_worker(directory: Path, **options: Any) -> int:
    return exit_code(start_worker(directory, **options))


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited in vain until {what}.")
        time.sleep(0.02)


def _call_at_steps(driver: MemoryDriver, at_step: Callable[[str], None]) -> None:
    step = driver._step

    def stepped(percent: int, phase: str) -> Any:
        at_step(phase)
        return step(percent, phase)

    driver._step = stepped  # type: ignore[method-assign]


def _instrument(driver: MemoryDriver, points: Points) -> None:
    points.before(driver, "_step")
    points.before(memory._FileStore, "_write")
    instrument_engine(points)


def instrument_engine(points: Points) -> None:
    points.before(attempts, "_take")
    points.before(attempts.Attempt, "_move")
    points.before(attempts.Attempt, "_write")
    points.before(services, "wake_following")
    points.before(rollouts, "_begin")


def database_of_this_test() -> str:
    """As another process names it."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["VBASE_DATABASE_URL"])._replace(path=f"/{name}").geturl()


def work_until_nothing_is_left() -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Task.objects.active().exists() and time.monotonic() < deadline:
        for found in (Task.objects.abandoned(), Task.objects.ready()):
            for task_id in found.order_by("pk").values_list("task_id", flat=True):
                run_task(task_id)
        time.sleep(0.01)
