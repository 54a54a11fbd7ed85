"""A real Milvus for the tests of backups: one embedded cluster for each test module."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from backups import connections as backup_connections
from backups.capture import job as capture_job
from backups.stores.local import LocalStore
from clusters import driver as clusters_driver
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.shutdown import stop_all
from clusters.models import Cluster
from tests.backups.handing_on import as_new

MakeCluster = Callable[..., Cluster]


@pytest.fixture(scope="module")
def machine() -> Iterator[Path]:
    """A directory in which clusters may run; what still runs at the end is stopped."""
    path = Path(tempfile.mkdtemp(prefix="vbase-backups-"))
    yield path
    stop_all(path, timeout_seconds=20)
    shutil.rmtree(path)


@pytest.fixture
def driver(
    machine: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[EmbeddedDriver]:
    """The embedded driver behind `get_driver`, instead of the memory one."""
    settings.CLUSTER_DRIVER = "embedded"
    clusters_driver.get_driver.cache_clear()
    own = EmbeddedDriver(machine, b"k" * 32)
    monkeypatch.setattr(clusters_driver, "load_driver", lambda *a, **k: own)
    yield own
    clusters_driver.get_driver.cache_clear()


@pytest.fixture
def store(tmp_path: Path, settings: object) -> Iterator[LocalStore]:
    settings.BACKUP_STORE = str(tmp_path / "store")  # type: ignore[attr-defined]
    backup_connections.get_store.cache_clear()
    yield backup_connections.get_store()
    backup_connections.get_store.cache_clear()


@pytest.fixture
def cluster(make_cluster: MakeCluster, driver: EmbeddedDriver, store: LocalStore) -> Cluster:
    return as_new(make_cluster, driver)


@pytest.fixture
def milvus(cluster: Cluster) -> Iterator[MilvusClient]:
    """A tenant's client: the SDK with endpoint and token."""
    client = MilvusClient(f"http://{cluster.host}:{cluster.port}", token=cluster.token)
    yield client
    client.close()


def fill(milvus: MilvusClient, name: str = "images", rows: int = 500) -> None:
    """A loaded collection of `rows` rows with a vector, a text and something dynamic."""
    schema = milvus.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("title", DataType.VARCHAR, max_length=200)
    index = milvus.prepare_index_params()
    index.add_index("vector", index_type="HNSW", metric_type="COSINE", params={"M": 8})
    milvus.create_collection(name, schema=schema, index_params=index)
    vectors = np.random.default_rng(7).random((rows, 8), dtype=np.float32)
    data = [
        {
            "id": i,
            "vector": vectors[i].tolist(),
            "title": f"title {i}",
            "extra": i % 7,
            "after": f"é {i}",
        }
        for i in range(rows)
    ]
    if data:
        milvus.insert(name, data)


def rows_of(milvus: MilvusClient, name: str = "images") -> list[dict[str, object]]:
    found = milvus.query(name, filter="id >= 0", output_fields=["*"], limit=1000)
    return sorted((dict(row) for row in found), key=lambda row: row["id"])


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few rows, so that there are several."""
    write = capture_job.write_parts
    monkeypatch.setattr(
        capture_job, "write_parts", lambda *a, **options: write(*a, **options, part_bytes=1)
    )
    monkeypatch.setattr("backups.milvus.pinned._batch_rows", lambda metadata: 16)
