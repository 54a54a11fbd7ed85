"""Stop every cluster under a data directory at once: for a console that ends."""

from __future__ import annotations

import time
from concurrent import futures
from pathlib import Path

from clusters.drivers.base import DriverError
from clusters.drivers.embedded import process
from clusters.drivers.embedded.layout import ClusterDirectory, cluster_ids
from clusters.drivers.embedded.lifecycle import mark_stopped

_KILL_MARGIN_SECONDS = 1.0
_LOCK_SECONDS = 1.0


def stop_all(data_dir: Path, timeout_seconds: float) -> list[str]:
    """Clean ends for all that can end in time, a kill for the rest; returns who was running.

    Afterwards they are observed as STOPPED. Which of them should run again is for the console to
    know.
    """
    directories = [ClusterDirectory(data_dir, cluster_id) for cluster_id in cluster_ids(data_dir)]
    if not directories:
        return []
    deadline = time.monotonic() + timeout_seconds - _KILL_MARGIN_SECONDS
    with futures.ThreadPoolExecutor(len(directories)) as stoppers:
        was_running = list(stoppers.map(lambda each: _stop(each, deadline), directories))
    pairs = zip(directories, was_running, strict=True)
    return [directory.cluster_id for directory, running in pairs if running]


def _stop(directory: ClusterDirectory, deadline: float) -> bool:
    try:
        with directory.locked(_LOCK_SECONDS):
            mark_stopped(directory)
    except DriverError:
        mark_stopped(directory)  # whoever holds the lock ends with the console; the mark must stand
    identity = directory.process()
    if identity is None:
        return False
    for _ in process.end(identity, timeout_seconds=deadline - time.monotonic()):
        pass
    return True
