"""One Milvus process that the tests of a module hand on to each other, emptied in between: starting
one takes longer than most of them do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from backups.connections import connect, snapshots_of
from backups.milvus.client import Client
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from clusters.states import ServiceStatus
from vbase_console.core import ids

FIRST = "default"


def as_new(make_cluster: Callable[[], Cluster], driver: EmbeddedDriver) -> Cluster:
    """A cluster deployed as any other. Where the driver has one from the test before, this one gets
    its id, so that the driver finds its process, or starts it again, and hands it the new token.
    """
    left = sorted(driver.cluster_ids())
    if not left:
        return make_cluster()
    with _next_cluster_id(left[0]):
        cluster = make_cluster()
    assert cluster.status == ServiceStatus.RUNNING, "the test before left what cannot be opened"
    empty(cluster)
    return cluster


@contextmanager
def _next_cluster_id(cluster_id: str) -> Iterator[None]:
    new_id = ids.new_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ids, "new_id", lambda prefix: cluster_id if prefix == "vc" else new_id(prefix)
        )
        yield


def empty(cluster: Cluster) -> None:
    """No collection, no other database, no snapshot."""
    with connect(cluster, FIRST) as client:
        databases = client.databases()
    for database in databases:
        with connect(cluster, database) as client:
            drop_all(client)
            if database != FIRST:
                client.drop_database(database)
    snapshots = snapshots_of(cluster)
    assert snapshots is not None
    for name in snapshots.names():
        snapshots.drop(name)


def drop_all(client: Client) -> None:
    for collection in client.collections():
        for alias in client.aliases(collection):
            client.drop_alias(alias)
        client.drop(collection)
