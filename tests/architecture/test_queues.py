"""Every queue is served in every size: by the programs of `make run` and by those of docs/units."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import pytest
from django.conf import settings

from tests.distributed.units import UNITS
from vbase_console.celery import app
from vbase_console.supervisor.programs import console_programs

ROUTED = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}


def of_make_run() -> dict[str, Sequence[str]]:
    return {program.name: program.command for program in console_programs({}, with_grpc=True)}


def of_units() -> dict[str, Sequence[str]]:
    return {unit.name: shlex.split(unit.read_text(), comments=True) for unit in UNITS.iterdir()}


def queues_of(command: Sequence[str]) -> list[str]:
    return command[command.index("-Q") + 1].split(",") if "-Q" in command else []


@pytest.mark.parametrize("programs", [of_make_run(), of_units()], ids=["make run", "units"])
def test_every_queue_is_served_by_one_kind_of_program(programs: dict[str, Sequence[str]]) -> None:
    served = [queue for command in programs.values() for queue in queues_of(command)]
    assert sorted(served) == sorted({settings.CELERY_TASK_DEFAULT_QUEUE, *ROUTED})


@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_what_beat_sends_never_waits_behind_tasks(name: str) -> None:
    route = app.amqp.router.route({}, name)
    assert route["queue"].name != settings.CELERY_TASK_DEFAULT_QUEUE
    assert route["queue"].name in queues_of(of_make_run()["sweeper"])


def test_two_workers_of_a_host_have_names_of_their_own() -> None:
    one, other = of_make_run()["worker"], of_make_run()["worker"]
    assert one[one.index("-n") + 1] != other[other.index("-n") + 1]
