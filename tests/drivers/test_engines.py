"""Engine versions side by side: locked, out of the console's reach, and chosen per cluster."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from clusters.drivers.base import ClusterSpec, Presence, SpecRefused
from clusters.drivers.embedded import engines
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.shutdown import stop_all
from tests.drivers.launched import make_collection, rows

LOCKS = Path(__file__).resolve().parents[2] / "requirements" / "engines"
CLUSTER = "vc-versions"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[EmbeddedDriver]:
    yield EmbeddedDriver(tmp_path, b"k" * 32, start_timeout_seconds=120)
    stop_all(tmp_path, 20)


def spec(version: str) -> ClusterSpec:
    return ClusterSpec(cluster_id=CLUSTER, version=version, compute_units=1, token="token")


def allowed() -> None:
    """The guard of a caller that keeps its right."""


def running_version(driver: EmbeddedDriver) -> str:
    access = driver.console_access(CLUSTER)
    assert access is not None
    assert access.control is not None
    return str(access.control.call("Health")["version"])


def test_every_shipped_version_has_a_lock_file_with_a_hash_and_nothing_else() -> None:
    locked = {path.stem: path.read_text() for path in LOCKS.iterdir()}
    assert set(locked) == set(engines.SHIPPED)
    for version, text in locked.items():
        assert text.startswith(f"milvus-lite=={version} \\\n    --hash=sha256:")
        assert text.count("==") == 1


def test_all_shipped_versions_are_installed_newest_first() -> None:
    assert engines.offered() == engines.SHIPPED
    assert engines.SHIPPED[0] == importlib.metadata.version("milvus-lite")


def test_upgrades_lead_to_newer_shipped_versions_only() -> None:
    assert set(engines.UPGRADES) == set(engines.SHIPPED)
    for version, newer in engines.UPGRADES.items():
        before = engines.SHIPPED[: engines.SHIPPED.index(version)]
        assert newer == before


def test_the_console_does_not_see_the_directories_of_the_versions() -> None:
    assert not any(Path(path).is_relative_to(engines.ROOT) for path in sys.path if path)
    code = "import milvus_lite; print(milvus_lite.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(engines.ROOT) not in found.stdout


@pytest.mark.parametrize("version", engines.SHIPPED)
def test_a_cluster_runs_confined_on_its_own_version(driver: EmbeddedDriver, version: str) -> None:
    list(driver.create(spec(version), allowed))
    assert running_version(driver) == version
    observation = driver.observe([CLUSTER])[CLUSTER]
    assert observation.confinement == driver.capabilities.confinement


@pytest.mark.parametrize("version", engines.SHIPPED)
def test_an_iterator_gives_every_key_once_on_every_version(
    driver: EmbeddedDriver, version: str
) -> None:
    list(driver.create(spec(version), allowed))
    endpoint = driver.observe([CLUSTER])[CLUSTER].endpoint
    assert endpoint is not None
    client = MilvusClient(f"http://{endpoint.host}:{endpoint.port}", token="token")
    make_collection(client, "odd")
    stored = [*range(60, 90), *range(30), *range(30, 60)]
    for first in range(0, 90, 30):
        client.insert("odd", rows(*stored[first : first + 30]))
        client.flush("odd")
    iterator = client.query_iterator("odd", batch_size=7, output_fields=["id"])
    found = [row["id"] for batch in iter(iterator.next, []) for row in batch]
    client.close()
    assert found == sorted(stored)


def test_a_version_that_is_no_longer_shipped_still_starts(
    driver: EmbeddedDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(driver.create(spec("3.2.1"), allowed))
    monkeypatch.setattr(engines, "SHIPPED", ("3.2.2",))
    monkeypatch.setattr(engines, "UPGRADES", {"3.2.2": ()})
    newer = EmbeddedDriver(tmp_path, b"k" * 32, start_timeout_seconds=120)
    assert "3.2.1" not in newer.capabilities.versions
    assert newer.observe([CLUSTER])[CLUSTER].presence is Presence.RUNNING
    list(newer.restart(spec("3.2.1"), allowed))
    assert running_version(newer) == "3.2.1"


def test_a_version_that_is_not_installed_is_refused_with_the_command_that_installs_it(
    driver: EmbeddedDriver,
) -> None:
    with pytest.raises(SpecRefused, match=r"pip install --no-deps .* milvus-lite==3\.0\.0"):
        list(driver.start(spec("3.0.0"), allowed))
