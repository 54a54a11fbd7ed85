"""An embedded cluster measures itself: rows, disk and the tenant's calls."""

from __future__ import annotations

import pytest
from pymilvus import MilvusClient

from clusters.drivers.base import Usage
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import cluster, driver, fill, machine, milvus, store

__all__ = ["cluster", "driver", "machine", "milvus", "store"]

pytestmark = pytest.mark.django_db(transaction=True)


def usage(driver: EmbeddedDriver, cluster: Cluster) -> Usage:
    return driver.usage([cluster.cluster_id])[cluster.cluster_id]


def test_rows_follow_inserts_upserts_deletes_and_drops(
    driver: EmbeddedDriver, cluster: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, "images", rows=30)
    fill(milvus, "texts", rows=5)
    assert usage(driver, cluster).rows == 35
    milvus.delete("images", ids=[0, 1])
    assert usage(driver, cluster).rows == 33
    milvus.drop_collection("texts")
    assert usage(driver, cluster).rows == 28


def test_the_process_is_measured(
    driver: EmbeddedDriver, cluster: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, rows=10)
    measured = usage(driver, cluster)
    assert measured.cpu_seconds is not None
    assert measured.cpu_seconds > 0
    assert (measured.memory_bytes or 0) > 10_000_000
    assert (measured.disk_bytes or 0) > 0


def test_calls_of_the_tenant_are_counted_and_those_of_the_console_are_not(
    driver: EmbeddedDriver, cluster: Cluster, milvus: MilvusClient
) -> None:
    before = usage(driver, cluster).requests or 0
    for _ in range(3):
        milvus.list_collections()
    assert (usage(driver, cluster).requests or 0) >= before + 3
    quiet = usage(driver, cluster).requests
    assert usage(driver, cluster).requests == quiet


def test_a_stopped_cluster_is_left_out(driver: EmbeddedDriver, cluster: Cluster) -> None:
    list(driver.stop(cluster.cluster_id, lambda: None))
    assert driver.usage([cluster.cluster_id]) == {}
