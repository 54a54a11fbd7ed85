"""Records the load of a real cluster on one core that idles, is searched, and idles again:

    python -m tests.clusters.load.record > tests/clusters/load/idle_busy_idle.csv

Takes ten minutes, on a machine of two cores that does nothing else: the clients need one of them.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from tests.drivers.launched import Launched

ROWS, DIMENSION, CLIENTS = 40_000, 128, 4
EVERY_SECONDS = 10
"""Between two samples, as between two sweeps of the console."""
IDLE_SECONDS, BUSY_SECONDS, IDLE_AGAIN_SECONDS = 60, 180, 360


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        launched = Launched(Path(directory) / "data", "--cores", "1").start()
        try:
            fill(launched)
            csv.writer(sys.stdout).writerows([("seconds", "cpu_seconds"), *recorded(launched)])
        finally:
            launched.close()


def fill(launched: Launched) -> None:
    client = launched.client()
    client.create_collection("busy", dimension=DIMENSION)
    vectors = np.random.default_rng(1).random((ROWS, DIMENSION), dtype=np.float32)
    for start in range(0, ROWS, 5_000):
        numbers = range(start, start + 5_000)
        client.insert("busy", [{"id": n, "vector": vectors[n].tolist()} for n in numbers])


def recorded(launched: Launched) -> Iterator[tuple[float, float]]:
    """Seconds since the first sample, and CPU seconds used since then."""
    began, used = time.monotonic(), cpu_seconds(launched.pid)
    yield 0.0, 0.0
    for seconds, clients in ((IDLE_SECONDS, 0), (BUSY_SECONDS, CLIENTS), (IDLE_AGAIN_SECONDS, 0)):
        with searching(launched, clients):
            for _ in range(seconds // EVERY_SECONDS):
                time.sleep(EVERY_SECONDS)
                now = time.monotonic() - began
                yield round(now, 2), round(cpu_seconds(launched.pid) - used, 2)


@contextmanager
def searching(launched: Launched, clients: int) -> Iterator[None]:
    """Raises what a client raised: a load without it would be no record."""
    stop = threading.Event()
    with ThreadPoolExecutor(max(1, clients)) as threads:
        searches = [threads.submit(search_until, stop, launched) for _ in range(clients)]
        try:
            yield
        finally:
            stop.set()
        for search in searches:
            search.result()


def search_until(stop: threading.Event, launched: Launched) -> None:
    client, vector = launched.client(), [0.5] * DIMENSION
    while not stop.is_set():
        client.search("busy", [vector] * 4, limit=10)


def cpu_seconds(pid: int) -> float:
    """CPU time of the one process of a cluster, which its driver measures, too."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
