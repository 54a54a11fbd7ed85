"""A driver and what a test does to its world behind its back."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Protocol

from clusters.drivers.base import ClusterDriver, DriverError
from clusters.drivers.embedded.client import check_token
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory
from clusters.drivers.embedded.shutdown import stop_all
from clusters.drivers.memory import MemoryDriver
from tests.drivers.launched import wait_for

KEY = b"a key for tests, of 32 bytes...."


class Driven(Protocol):
    """Functions that the suite needs for each kind of driver."""

    driver: ClusterDriver

    def crash(self, cluster_id: str) -> None: ...

    def accepts(self, cluster_id: str, token: str) -> bool: ...

    def close(self) -> None: ...


class MemoryDriven:
    """The memory driver has hands of its own for this."""

    def __init__(self, driver: MemoryDriver) -> None:
        self._memory = driver
        self.driver: ClusterDriver = driver

    def crash(self, cluster_id: str) -> None:
        self._memory.crash(cluster_id)

    def accepts(self, cluster_id: str, token: str) -> bool:
        return self._memory.accepts(cluster_id, token)

    def close(self) -> None:
        """There is nothing to end."""


class EmbeddedDriven:
    """Real processes: killed to crash them, called to see who gets in."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.driver: ClusterDriver = EmbeddedDriver(data_dir, KEY, start_timeout_seconds=120)

    def crash(self, cluster_id: str) -> None:
        identity = ClusterDirectory(self._data_dir, cluster_id).process()
        assert identity is not None
        os.kill(identity.pid, signal.SIGKILL)
        wait_for(lambda: not identity.is_alive())

    def accepts(self, cluster_id: str, token: str) -> bool:
        endpoint = self.driver.observe([cluster_id])[cluster_id].endpoint
        assert endpoint is not None
        try:
            check_token(endpoint.port, token)
        except DriverError:
            return False
        return True

    def close(self) -> None:
        stop_all(self._data_dir, 20)
