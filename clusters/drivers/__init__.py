"""Drivers: the hands that make clusters. Nothing in here knows Django."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clusters.drivers.base import ClusterDriver


def load_driver(
    name: str, *, data_dir: Path, control_key: bytes, memory_bytes: int | None = None
) -> ClusterDriver:
    """The driver of that name; only the one that is asked for is imported.

    `memory_bytes` bounds each cluster's process; None: the driver's own default.
    """
    if name not in _DRIVERS:
        raise ValueError(f"There is no cluster driver {name!r}. There is: {', '.join(_DRIVERS)}.")
    return _DRIVERS[name](data_dir, control_key, memory_bytes)


def _embedded(data_dir: Path, control_key: bytes, memory_bytes: int | None) -> ClusterDriver:
    from clusters.drivers.embedded.driver import EmbeddedDriver

    return EmbeddedDriver(data_dir, control_key, memory_bytes=memory_bytes)


def _memory(data_dir: Path, _control_key: bytes, _memory_bytes: int | None) -> ClusterDriver:
    from clusters.drivers.memory import MemoryDriver

    return MemoryDriver(directory=data_dir / "memory-clusters")


_DRIVERS: dict[str, Callable[[Path, bytes, int | None], ClusterDriver]] = {
    "embedded": _embedded,
    "memory": _memory,
}
