"""A restore dies in the middle of its swap and is cancelled: another attempt walks back, and all is
as it was: rows, indexes, aliases and load states of every collection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups.milvus.client import Client
from backups.models import BackupJob
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.interruption import Dead, taken_over
from tests.crash.backups.stage import Stage
from vbase_console.tasks import services as tasks
from vbase_console.tasks.worker import run_task

RENAMES = 4
"""Two for each of the two collections: the old one away, and the restored one to its name."""


@pytest.fixture
def stage(cluster: Cluster, milvus: MilvusClient, store: LocalStore, settings: Any) -> Stage:
    """A loaded collection with an alias and a released one, both changed since they were backed
    up.
    """
    settings.LEASE_SECONDS = 60
    made = Stage(cluster, milvus, store)
    made.fill()
    made.backup = made.back_up()
    made.spoil()
    return made


@contextmanager
def dying_after_rename(number: int) -> Iterator[None]:
    rename, done = Client.rename, []

    def counted(self: Client, old: str, new: str) -> None:
        rename(self, old, new)
        done.append(new)
        if len(done) == number:
            raise Dead

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "rename", counted)
        yield


def died(stage: Stage, rename: int) -> BackupJob:
    job = stage.restore(on_conflict="REPLACE")
    with dying_after_rename(rename), pytest.raises(Dead):
        run_task(job.task.task_id)
    return job


@pytest.mark.parametrize("rename", range(1, RENAMES + 1))
def test_all_is_as_it_was(rename: int, stage: Stage) -> None:
    before = stage.world()
    job = died(stage, rename)
    assert stage.world() != before
    tasks.request_cancel(job.task, by="alice")
    assert taken_over(job.task).state == "CANCELLED"
    assert stage.world() == before


def test_the_tenant_finds_the_load_states_and_aliases_it_left(stage: Stage) -> None:
    """As the SDK tells them, and not as we describe them."""
    before = told(stage.milvus)
    job = died(stage, 3)
    tasks.request_cancel(job.task, by="alice")
    taken_over(job.task)
    assert told(stage.milvus) == before


def told(milvus: MilvusClient) -> dict[str, Any]:
    return {
        name: (
            milvus.get_load_state(name),
            milvus.list_aliases(name)["aliases"],
            milvus.describe_index(name, "vector"),
        )
        for name in sorted(milvus.list_collections())
    }
