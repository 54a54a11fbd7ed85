"""The attached driver beside the driver of the console's own clusters."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clusters import driver as clusters_driver
from clusters.drivers import load_driver as load_real_driver
from clusters.drivers.base import ClusterDriver
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.shutdown import stop_all


@contextmanager
def beside_attached(own: ClusterDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Load `own` for every driver except `attached`."""

    def load(name: str, **options: Any) -> ClusterDriver:
        return load_real_driver(name, **options) if name == "attached" else own

    monkeypatch.setattr(clusters_driver, "load_driver", load)
    clusters_driver.get_driver.cache_clear()
    yield
    clusters_driver.get_driver.cache_clear()


@pytest.fixture(scope="module")
def machine() -> Iterator[Path]:
    """A directory in which embedded clusters may run. They are stopped at the end."""
    path = Path(tempfile.mkdtemp(prefix="vbase-attached-"))
    yield path
    stop_all(path, timeout_seconds=20)
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def driver(
    machine: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[EmbeddedDriver]:
    """The embedded driver for clusters that the console creates."""
    settings.CLUSTER_DRIVER = "embedded"
    own = EmbeddedDriver(machine, b"k" * 32)
    with beside_attached(own, monkeypatch):
        yield own
