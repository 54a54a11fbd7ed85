from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import hands
from clusters.drivers.memory import MemoryDriver
from tests.crash.processes import shared_driver


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "clusters"


@pytest.fixture
def shared(directory: Path) -> Iterator[MemoryDriver]:
    """The clusters that this process and its workers see alike."""
    original = hands.load_driver
    yield shared_driver(directory)
    hands.load_driver = original
    hands.get_driver.cache_clear()
