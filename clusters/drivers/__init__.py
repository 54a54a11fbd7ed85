"""Cluster drivers. They do not import Django."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clusters.drivers.base import Attachments, ClusterDriver

ATTACHED = "attached"
"""Driver of clusters that are operated elsewhere. No setting chooses it for new clusters."""


def load_driver(
    name: str,
    *,
    data_dir: Path,
    control_key: bytes,
    memory_bytes: int | None = None,
    attachments: Attachments | None = None,
) -> ClusterDriver:
    """Import and create the driver of this name.

    `memory_bytes` limits the memory of each cluster's process. None: the driver's default.
    `attachments` are what the driver of attached clusters needs.
    """
    if name == ATTACHED and attachments is not None:
        from clusters.drivers.attached import AttachedDriver

        return AttachedDriver(attachments)
    if name not in _DRIVERS:
        raise ValueError(f"Unknown cluster driver {name!r}. Use one of: {', '.join(_DRIVERS)}.")
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
