"""Each possible upgrade, performed on data of every kind that the older engine holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from clusters.drivers import answers
from clusters.drivers.base import ClusterSpec
from clusters.drivers.embedded import engines
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory
from clusters.drivers.embedded.shutdown import stop_all
from tests.upgrades.content import EVERYTHING, content, fill, keys, nearest, write_since

CLUSTER = "vc-table"
TOKEN = "token"
PAIRS = [(old, new) for old, newer in engines.UPGRADES.items() for new in newer]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[EmbeddedDriver]:
    yield EmbeddedDriver(tmp_path, b"k" * 32, start_timeout_seconds=120)
    stop_all(tmp_path, 20)


def spec(version: str) -> ClusterSpec:
    return ClusterSpec(cluster_id=CLUSTER, version=version, compute_units=1, token=TOKEN)


def client_of(driver: EmbeddedDriver) -> MilvusClient:
    endpoint = driver.observe([CLUSTER])[CLUSTER].endpoint
    assert endpoint is not None
    return MilvusClient(f"http://{endpoint.host}:{endpoint.port}", token=TOKEN, timeout=20)


def asked(driver: EmbeddedDriver, before: answers.Answers | None = None) -> answers.Answers:
    access = driver.console_access(CLUSTER)
    assert access is not None
    return answers.ask(access, before)


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def allowed() -> None:
    """The guard of a caller that keeps its right."""


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_an_upgrade_keeps_every_row_and_its_copy_stays_as_it_was(
    driver: EmbeddedDriver, tmp_path: Path, old: str, new: str
) -> None:
    list(driver.create(spec(old), allowed))
    with closing(client_of(driver)) as client:
        fill(client)
        before = content(client)
    driver.hold(CLUSTER, allowed)
    answered = asked(driver)
    list(driver.keep_copy(CLUSTER, old, allowed))
    copy = ClusterDirectory(tmp_path, CLUSTER).copies / old
    copied = hashes(copy)
    list(driver.upgrade(spec(new), allowed))
    assert answers.differences(answered, asked(driver, answered)) == []
    driver.open(CLUSTER, allowed)
    with closing(client_of(driver)) as client:
        assert client.get_server_version().endswith(new)
        assert content(client) == before
        _write_compact_and_rebuild(client)
        assert nearest(client, 9001) == 9001
    assert hashes(copy) == copied
    driver.hold(CLUSTER, allowed)
    list(driver.go_back(spec(old), new, allowed))
    assert answers.differences(answered, asked(driver, answered)) == []
    driver.open(CLUSTER, allowed)
    with closing(client_of(driver)) as client:
        assert content(client) == before


def _write_compact_and_rebuild(client: MilvusClient) -> None:
    """Change every kind of file that the copy shares with the data."""
    write_since(client, 9000, 9001)
    client.delete(EVERYTHING, ids=[9000, *range(100, 200)])
    client.flush(EVERYTHING)
    client.compact(EVERYTHING)
    client.release_collection(EVERYTHING)
    client.drop_index(EVERYTHING, "vector")
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="IVF_FLAT", metric_type="L2", params={"nlist": 4})
    client.create_index(EVERYTHING, indexes)
    client.load_collection(EVERYTHING)
    assert keys(client).isdisjoint(range(100, 200))
