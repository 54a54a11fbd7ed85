"""One scenario for each kind of job about backups, and each way to restore."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from backups.connections import connect
from backups.models import Backup
from backups.services.backups import delete_backup, plan_backup, verify_backup
from tests.backups.handing_on import drop_all
from tests.crash.backups.stage import ROWS, Stage

ELSEWHERE = "elsewhere"
Deed = Callable[[Stage], object]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """`prepare` makes the stage as it is before, from whatever the last trial left."""

    prepare: Deed
    ask: Deed
    dies_at: tuple[int, str]
    """The most revealing point of death: the n-th effect of that name."""


def _whole(stage: Stage) -> None:
    """As it was backed up."""
    _empty(stage)
    stage.fill()


def _empty(stage: Stage) -> None:
    stage.drop(*stage.milvus.list_collections())


def _spoiled(stage: Stage) -> None:
    _whole(stage)
    stage.spoil()


def _nowhere(stage: Stage) -> None:
    """The database is not there."""
    with connect(stage.cluster, ELSEWHERE) as client:
        if ELSEWHERE in client.databases():
            drop_all(client)
            client.drop_database(ELSEWHERE)


def _another_backup(stage: Stage) -> None:
    _whole(stage)
    stage.back_up()


def _newest() -> Backup:
    return Backup.objects.filter(status="AVAILABLE").latest("created_at")


def _verify(stage: Stage) -> None:
    Backup.objects.update(verified_at=None)
    verify_backup(_newest(), by="alice")


SCENARIOS = {
    "BACKUP": Scenario(
        prepare=_whole,
        ask=lambda stage: plan_backup(stage.cluster, collection_names=[*ROWS]).submit(by="alice"),
        dies_at=(3, "publish"),
    ),
    "RESTORE FAIL": Scenario(
        prepare=_empty, ask=lambda stage: stage.restore(), dies_at=(2, "Insert")
    ),
    "RESTORE RENAME": Scenario(
        prepare=_spoiled,
        ask=lambda stage: stage.restore(on_conflict="RENAME", suffix="_then"),
        dies_at=(2, "RenameCollection"),
    ),
    "RESTORE REPLACE": Scenario(
        prepare=_spoiled,
        ask=lambda stage: stage.restore(on_conflict="REPLACE"),
        dies_at=(2, "RenameCollection"),
    ),
    "RESTORE elsewhere": Scenario(
        prepare=_nowhere,
        ask=lambda stage: stage.restore(db_name=ELSEWHERE),
        dies_at=(1, "CreateCollection"),
    ),
    "VERIFY": Scenario(prepare=_whole, ask=_verify, dies_at=(2, "write")),
    "DELETE": Scenario(
        prepare=_another_backup,
        ask=lambda stage: delete_backup(_newest(), by="alice"),
        dies_at=(2, "remove"),
    ),
}
