"""Whatever the embedded engine takes is backed up, dropped and restored by jobs, and is then what
it was: described the same, and every row bit for bit.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from pymilvus import MilvusClient

from backups.connections import connect, open_archive, snapshots_of
from backups.milvus.schema import describe
from backups.models import Backup
from backups.services.backups import plan_backup
from backups.services.restores import plan_restore
from clusters.models import Cluster
from tests.backups.stories import Story, nasty_keys, stories, with_rows
from tests.milvus.rooms import by_partition, checksum
from vbase_console.tasks.models import Task

Work = Callable[[], int]
FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # an example takes a second, and shrinking thousands
)
MANY = settings(FEW, max_examples=400, derandomize=False)


@pytest.fixture(autouse=True)
def _no_lease_ends_by_itself(settings: Any) -> None:
    settings.LEASE_SECONDS = 60


def seen(cluster: Cluster, name: str) -> tuple[Any, Any]:
    """Return the description, and the checksum of the rows of each partition."""
    with connect(cluster, "default") as client:
        described = describe(client, name)
    snapshots = snapshots_of(cluster)
    assert snapshots is not None
    (scan,) = snapshots.take("looking", database="default", collections=[name]).scans()
    try:
        return described, by_partition(scan.batches())
    finally:
        snapshots.drop("looking")


def drop(milvus: MilvusClient, name: str) -> None:
    for alias in milvus.list_aliases(name)["aliases"]:
        milvus.drop_alias(alias)
    milvus.drop_collection(name)


def comes_back(story: Story, cluster: Cluster, milvus: MilvusClient, work: Work) -> None:
    story.live(milvus, name := f"c_{uuid.uuid4().hex[:12]}")
    before = seen(cluster, name)
    job = plan_backup(cluster, collection_names=[name]).submit(by="alice")
    work()
    backup = Backup.objects.get(pk=job.backup_id)
    if not story.has_auto_ids:
        expected = checksum(story.kept(before[0]))
        assert open_archive(backup).manifest.collection(name).row_checksum == expected
    drop(milvus, name)
    restore = plan_restore(backup, cluster).submit(by="alice")
    work()
    task = Task.objects.get(pk=restore.pk)
    assert task.state == "SUCCEEDED", task.message
    assert seen(cluster, name) == before
    drop(milvus, name)


@given(story=stories())
@example(story=nasty_keys())
@example(story=nasty_keys(["\x00"]))  # also the smallest and the largest key of its part
@example(story=with_rows(0))
@example(story=with_rows(1))
@example(story=with_rows(4))
@FEW
def test_it_comes_back_as_it_was(
    cluster: Cluster, milvus: MilvusClient, work: Work, story: Story
) -> None:
    comes_back(story, cluster, milvus, work)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@given(story=stories())
@MANY
def test_it_always_does(cluster: Cluster, milvus: MilvusClient, work: Work, story: Story) -> None:
    comes_back(story, cluster, milvus, work)
