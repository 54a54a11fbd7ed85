"""Stop all clusters of a data directory in parallel, when the console stops."""

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
    """Stop all clusters, kill those that exceed the time-out. Returns the ids that were running.

    The clusters are observed as STOPPED afterwards. The console decides which of them to start.
    """
    directories = [ClusterDirectory(data_dir, cluster_id) for cluster_id in cluster_ids(data_dir)]
    if not directories:
        return []
    deadline = time.monotonic() + timeout_seconds - _KILL_MARGIN_SECONDS
    with futures.ThreadPoolExecutor(len(directories)) as stoppers:
        was_running = list(stoppers.map(lambda directory: _stop(directory, deadline), directories))
    pairs = zip(directories, was_running, strict=True)
    return [directory.cluster_id for directory, running in pairs if running]


def _stop(directory: ClusterDirectory, deadline: float) -> bool:
    try:
        with directory.locked(_LOCK_SECONDS):
            mark_stopped(directory)
    except DriverError:
        mark_stopped(directory)  # the process that holds the lock ends with the console
    identity = directory.process()
    if identity is None:
        return False
    for _ in process.end(identity, timeout_seconds=deadline - time.monotonic()):
        pass
    return True
