"""For tests of rows and stores: clusters are in memory, and no Milvus runs."""

from __future__ import annotations

import pytest

from clusters.drivers.memory import MemoryDriver


@pytest.fixture
def driver(memory_driver: MemoryDriver) -> MemoryDriver:
    """The memory driver, where the folder's other tests have the embedded one."""
    return memory_driver
