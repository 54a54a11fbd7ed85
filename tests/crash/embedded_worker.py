"""A worker on the embedded driver, as a program: executes all tasks and ends, or dies on its way.

Arguments: the point of death (0: none) and two phases. In the first phase the task is cancelled, in
the second one the process is stopped. Empty: neither happens.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import django


def main(die_at: int, cancel_in: str, stop_in: str) -> None:
    django.setup()
    from clusters.drivers.embedded import copies, process
    from clusters.drivers.embedded.client import ControlClient
    from clusters.drivers.embedded.layout import ClusterDirectory
    from tests.crash.processes import Points, instrument_engine, work_until_nothing_is_left
    from tests.crash.scenarios import canceller

    points = Points(die_at)
    for owner, name in (
        (process, "spawn"),
        (process, "end"),
        (copies, "make_copy"),
        (copies, "exchange"),
        (copies, "drop"),
        (copies, "_sync"),  # between the renames of an exchange
        (ClusterDirectory, "make"),
        (ClusterDirectory, "save"),
        (ClusterDirectory, "remove"),
    ):
        points.before(owner, name)
    points.before(ControlClient, "call", unless=lambda arguments: "Health" in arguments)
    instrument_engine(points)
    _call_at_reports(canceller(cancel_in))
    _call_at_reports(_stopper(stop_in))
    work_until_nothing_is_left()


def _call_at_reports(at_step: Callable[[str], None]) -> None:
    from vbase_console.tasks.attempts import Attempt

    report = Attempt.report

    def reported(attempt: Attempt, percent: int, phase: str, message: str) -> None:
        at_step(phase)
        report(attempt, percent, phase, message)

    Attempt.report = reported  # type: ignore[method-assign]


def _stopper(phase_to_stop_in: str) -> Callable[[str], None]:
    def at_step(phase: str) -> None:
        if phase == phase_to_stop_in:
            os.kill(os.getpid(), signal.SIGSTOP)

    return at_step
