"""A scan of a real Milvus. A server that hangs does not delay others."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient

from backups import connections
from backups.protection import discovery_scan
from backups.protection.discovery_scan import list_collections
from backups.protection.models import InventoryScan, KnownCollection
from backups.protection.sweeps import sweep_inventory
from clusters.drivers.base import ConsoleAccess, Endpoint
from clusters.models import Cluster
from tests.backups.conftest import cluster, driver, fill, machine, milvus, store
from vbase_console.core.errors import Unavailable

__all__ = ["cluster", "driver", "machine", "milvus", "store"]


def test_it_lists_every_database_without_what_is_the_consoles_own(
    cluster: Cluster, milvus: MilvusClient
) -> None:
    fill(milvus, "images", rows=0)
    milvus.create_database("films")
    milvus.use_database("films")
    fill(milvus, "posters", rows=0)
    with connections.connect(cluster, "films") as console:
        console.rename("posters", "_vbase_old_1")
    assert list_collections(cluster) == {"default": ["images"], "films": []}
    sweep_inventory()
    assert KnownCollection.objects.get().name == "images"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        endpoint = Endpoint(host="127.0.0.1", port=listening.getsockname()[1])
        access = ConsoleAccess(endpoint=endpoint, credential="x", control=None)
        monkeypatch.setattr(connections, "address_of", lambda cluster: access)
        monkeypatch.setattr(discovery_scan, "SCAN_TIMEOUT_SECONDS", 0.2)
        yield


def test_one_that_hangs_is_given_up(cluster: Cluster, silent: None) -> None:
    with pytest.raises(Unavailable, match="did not answer"):
        list_collections(cluster)


def test_one_that_hangs_is_said_to(cluster: Cluster, silent: None) -> None:
    sweep_inventory()
    assert "did not answer" in InventoryScan.objects.get().error_message
