"""kill -9 of a worker in a backup, a restore, a verification and a deletion, on a real cluster:
another worker brings it to its end, and the world is as after an undisturbed run.
"""

from __future__ import annotations

import signal
from itertools import count
from typing import Any

import pytest

from backups.models import Backup
from backups.sweeps import sweep_janitor
from tests.crash.backups.effects import ROWS_IN_A_BATCH, Fate, killed_at
from tests.crash.backups.scenarios import SCENARIOS, Scenario
from tests.crash.backups.stage import ROWS, Stage, last_task, rows_of
from tests.crash.backups.workers import Worker, Workers
from vbase_console.tasks.models import Heartbeat

FEWEST_POINTS = 4
KILLED = -signal.SIGKILL
USUAL = ("BACKUP", "RESTORE REPLACE", "VERIFY", "DELETE")
"""A restore that replaces contains the steps of the other restores."""


def left_behind(stage: Stage) -> dict[str, Any]:
    """Everything but instants, names of jobs and what is different in every run."""
    Heartbeat.objects.all().delete()
    sweep_janitor()
    task, newest = last_task(), Backup.objects.latest("created_at")
    return {
        "task": (task.kind, task.state, task.holds_lock, task.warnings),
        "backup": (newest.status, newest.row_count, newest.collections),
        "verified, proven": (bool(newest.verified_at), bool(newest.proven_at)),
        "archive": rows_of(newest) if newest.status == "AVAILABLE" else None,
        "damages": stage.damages(),
        "foreign": stage.foreign(),
        "world": stage.world(),
    }


def hidden(left: dict[str, Any]) -> list[str]:
    found = left["world"]["collections"].values()
    return [name for names in found for name in names if name.startswith("_vbase_")]


def undisturbed(stage: Stage, scenario: Scenario, workers: Workers) -> dict[str, Any]:
    scenario.prepare(stage)
    scenario.ask(stage)
    assert workers.run().end() == 0
    left = left_behind(stage)
    assert (left["task"][1], left["damages"], left["foreign"]) == ("SUCCEEDED", [], [])
    assert (hidden(left), left["world"]["pins"]) == ([], [])
    return left


def disturbed(stage: Stage, scenario: Scenario, workers: Workers, fate: Fate) -> list[Worker]:
    """The worker that died, if it did, and the one that took over."""
    scenario.prepare(stage)
    scenario.ask(stage)
    died = workers.run(fate)
    return [died, workers.finish()] if died.end() == KILLED else [died]


@pytest.mark.parametrize("name", USUAL)
def test_another_worker_finishes_what_a_killed_one_began(
    name: str, stage: Stage, workers: Workers
) -> None:
    scenario = SCENARIOS[name]
    expected = undisturbed(stage, scenario, workers)
    done = disturbed(stage, scenario, workers, killed_at(*scenario.dies_at))
    assert len(done) == 2, "nobody died"
    assert left_behind(stage) == expected


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENARIOS)
def test_at_every_point(name: str, stage: Stage, workers: Workers) -> None:
    expected = undisturbed(stage, SCENARIOS[name], workers)
    for point in count(1):
        done = disturbed(stage, SCENARIOS[name], workers, killed_at(point))
        if len(done) == 1:
            break
        assert left_behind(stage) == expected, f"killed at point {point}: {done[0].lines()[-2:]}"
        if name == "BACKUP":
            assert rows_read(done) <= sum(ROWS.values()) + ROWS_IN_A_BATCH, f"at point {point}"
    assert point > FEWEST_POINTS


def rows_read(workers: list[Worker]) -> int:
    return sum(worker.rows_read() for worker in workers)


def test_at_most_one_part_is_read_again(stage: Stage, workers: Workers) -> None:
    """There are six parts; the worker dies when the fourth is written and not yet known."""
    done = disturbed(stage, SCENARIOS["BACKUP"], workers, killed_at(4, "publish"))
    assert len(done) == 2
    assert rows_read(done) == sum(ROWS.values()) + rows_of_the_fourth_part


rows_of_the_fourth_part = ROWS["images"] - 3 * ROWS_IN_A_BATCH
