"""Memory of the machine or container, for limits of a process."""

from __future__ import annotations

import os
from pathlib import Path

UNTOUCHED_BYTES = 3 * 1024**3
"""Memory that RLIMIT_DATA counts but that is never used: thread stacks and Arrow's arena."""
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_bytes() -> int:
    """Return the memory of the machine, or of the container if that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [limit for file in _CGROUP_LIMITS if (limit := _limit_in(file)) is not None]
    return min([machine, *limits])


def _limit_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
