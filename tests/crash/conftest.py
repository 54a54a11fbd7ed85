from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import driver
from clusters.drivers.memory import MemoryDriver
from tests.crash.processes import shared_driver


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "clusters"


@pytest.fixture
def shared(directory: Path) -> Iterator[MemoryDriver]:
    """The clusters that this process and its workers see alike."""
    original = driver.load_driver
    yield shared_driver(directory)
    driver.load_driver = original
    driver.get_driver.cache_clear()
