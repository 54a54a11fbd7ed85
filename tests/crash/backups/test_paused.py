"""SIGSTOP past the lease, another worker finishes, SIGCONT: the first one changes nothing more, in
the database, the store or Milvus.
"""

from __future__ import annotations

from typing import Any

import pytest

from backups.models import Backup, BackupJob, SealedPart
from tests.crash.backups.effects import Fate, stopped_at
from tests.crash.backups.scenarios import SCENARIOS
from tests.crash.backups.stage import Stage
from tests.crash.backups.workers import Workers
from vbase_console.tasks.models import Task, TaskEvent

BEFORE_ASKING = [
    ("BACKUP", stopped_at(1, "guard")),
    ("BACKUP", stopped_at(3, "batch")),
    ("RESTORE REPLACE", stopped_at(6, "guard")),
]
"""It will ask whether it still may, and it may not."""

AFTER_ASKING = [
    ("BACKUP", stopped_at(1, "CreateSnapshot")),
    ("RESTORE REPLACE", stopped_at(1, "Insert")),
    ("RESTORE REPLACE", stopped_at(1, "RenameCollection")),
    ("RESTORE REPLACE", stopped_at(2, "RenameCollection")),
    ("RESTORE REPLACE", stopped_at(1, "DropCollection")),
]
"""Effects after a passed guard and a pause, which the server has to refuse. Writers of the database
or the store are left out: they hold the task's row, so that no attempt can overtake them.
"""


def all_there_is(stage: Stage) -> tuple[Any, ...]:
    tables = (Task, TaskEvent, Backup, BackupJob, SealedPart)
    rows = [list(table.objects.order_by("pk").values()) for table in tables]
    return rows, stage.files(), stage.damages(), stage.world()


def before_and_after(stage: Stage, workers: Workers, name: str, fate: Fate) -> tuple[Any, Any]:
    """All there is when another worker has finished, and when the first has woken up and left."""
    SCENARIOS[name].prepare(stage)
    SCENARIOS[name].ask(stage)
    paused = workers.start(fate)
    paused.wait_until_it_stands_still()
    workers.finish()
    before = all_there_is(stage)
    paused.go_on()
    assert paused.end() == 0
    return before, all_there_is(stage)


@pytest.mark.parametrize(("name", "fate"), BEFORE_ASKING)
def test_a_worker_that_stood_still_leaves_no_trace(
    name: str, fate: Fate, stage: Stage, workers: Workers
) -> None:
    before, after = before_and_after(stage, workers, name, fate)
    assert Task.objects.latest("pk").state == "SUCCEEDED"
    assert after == before


@pytest.mark.parametrize(("name", "fate"), AFTER_ASKING)
def test_not_even_between_asking_and_doing(
    name: str, fate: Fate, stage: Stage, workers: Workers
) -> None:
    before, after = before_and_after(stage, workers, name, fate)
    assert Task.objects.latest("pk").state == "SUCCEEDED"
    assert after == before
