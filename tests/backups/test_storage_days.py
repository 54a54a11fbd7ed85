from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest
from django.utils import timezone

from backups.figures import storage_days
from backups.models import StorageDay
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.backups.without_milvus import driver as driver
from vbase_console.organizations.models import Organization


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


def sizes(cluster: Cluster) -> list[int]:
    rows = StorageDay.objects.filter(cluster=cluster).order_by("day")
    return list(rows.values_list("size_bytes", flat=True))


def test_days_before_the_first_sweep_are_filled_from_the_backups(cluster: Cluster) -> None:
    now = timezone.now()
    seed_backup(cluster, size_bytes=100, created_at=now - timedelta(days=2))
    seed_backup(cluster, size_bytes=11, created_at=now)
    storage_days.measure()
    assert sizes(cluster) == [100, 100, 111]


def test_a_deleted_backup_counts_until_its_deletion(cluster: Cluster) -> None:
    now = timezone.now()
    seed_backup(
        cluster,
        status="GONE",
        size_bytes=100,
        created_at=now - timedelta(days=3),
        deleted_at=now - timedelta(days=1),
    )
    storage_days.measure()
    assert sizes(cluster) == [100, 100]


def test_a_second_sweep_measures_the_day_again(cluster: Cluster) -> None:
    seed_backup(cluster, size_bytes=1)
    storage_days.measure()
    seed_backup(cluster, size_bytes=2)
    assert (storage_days.measure(), sizes(cluster)) == (1, [3])


def test_days_without_a_sweep_are_filled(cluster: Cluster) -> None:
    seed_backup(cluster, size_bytes=1, created_at=timezone.now() - timedelta(days=4))
    storage_days.measure()
    today = timezone.now().astimezone(UTC).date()
    StorageDay.objects.filter(day__gt=today - timedelta(days=3)).delete()
    storage_days.measure()
    assert sizes(cluster) == [1] * 5


def test_sample_data_is_left_to_its_command(cluster: Cluster) -> None:
    Organization.objects.update(is_demo=True)
    seed_backup(cluster)
    storage_days.measure()
    assert sizes(cluster) == []
