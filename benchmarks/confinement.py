"""A confined cluster against an unconfined one, with the same rows and the same client.

Both are asked in turns, in short rounds whose order changes, so that the rest of the machine's work
affects both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from pymilvus import DataType, MilvusClient

from clusters.drivers.embedded.answers import Unreachable
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.layout import is_free
from clusters.drivers.embedded.server.authentication import fingerprint

ROUNDS = 31
ROWS, DIMENSION = 20_000, 64
SEARCHES, BATCHES, BATCH_ROWS = 100, 100, 100
_START_SECONDS = 60
_TOKEN, _CONTROL = "a token of this benchmark", "a credential of this benchmark"
_COLLECTION = "rows"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """Cost of one operation."""

    milliseconds: float
    cpu_milliseconds: float
    """Processor time of the cluster's process."""


class Server:
    """One cluster and a client of it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = psutil.Process(process.pid)
        self.client = MilvusClient(f"http://127.0.0.1:{port}", token=_TOKEN)
        self._numbers = np.random.default_rng(1)
        self._next_id = 0

    def fill(self) -> None:
        schema = self.client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        self.client.create_collection(_COLLECTION, schema=schema)
        for _ in range(0, ROWS, 2000):
            self._insert(2000)
        self.client.flush(_COLLECTION)
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="L2")
        self.client.create_index(_COLLECTION, index)
        self.client.load_collection(_COLLECTION)

    def search(self) -> Turn:
        queries = self._vectors(SEARCHES)

        def ask() -> None:
            for query in queries:
                self.client.search(_COLLECTION, [query], limit=10)

        return self._turn(ask, SEARCHES)

    def insert(self) -> Turn:
        def write() -> None:
            for _ in range(BATCHES):
                self._insert(BATCH_ROWS)

        return self._turn(write, BATCHES)

    def _insert(self, count: int) -> None:
        rows = [
            {"id": self._next_id + number, "vector": vector}
            for number, vector in enumerate(self._vectors(count))
        ]
        self._next_id += count
        self.client.insert(_COLLECTION, rows)

    def _vectors(self, count: int) -> list[list[float]]:
        found: list[list[float]] = self._numbers.random((count, DIMENSION), np.float32).tolist()
        return found

    def _turn(self, work: Callable[[], None], operations: int) -> Turn:
        cpu, started = self._cpu_seconds(), time.perf_counter()
        work()
        seconds, used = time.perf_counter() - started, self._cpu_seconds() - cpu
        return Turn(
            milliseconds=1000 * seconds / operations, cpu_milliseconds=1000 * used / operations
        )

    def _cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def _served(*flags: str) -> Iterator[Server]:
    port = _port_of_first_core()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "clusters.drivers.embedded.server.launcher"]
        process = subprocess.Popen(
            [*command, "--data-dir", str(Path(directory) / "data"), "--port", str(port), *flags],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        given = {"token_sha256": fingerprint(_TOKEN), "control_sha256": fingerprint(_CONTROL)}
        assert process.stdin is not None  # noqa: S101 - asked for a pipe
        with process.stdin as pipe:
            pipe.write(json.dumps(given).encode() + b"\n")
        try:
            level = _await_health(port)["confinement"]["level"]
            print(f"  port {port}: confinement {level}")
            yield Server(process, port)
        finally:
            process.terminate()
            process.wait()


def _port_of_first_core() -> int:
    """A free port with which a cluster chooses the first core, so that both share it."""
    cores = len(os.sched_getaffinity(0))
    multiples = range(21_000 - 21_000 % cores, 32_000, cores)
    return next(port for port in multiples if is_free(port))


def _await_health(port: int) -> dict[str, Any]:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(Unreachable):
            health: dict[str, Any] = ControlClient(port, _CONTROL).call("Health")
            if health["ready"]:
                return health
        if time.monotonic() > deadline:
            raise TimeoutError(f"The cluster did not start within {_START_SECONDS} s.")
        time.sleep(0.1)


def main() -> None:
    print(f"Confinement, {ROUNDS} rounds each, one client, one core per cluster:")
    with _served() as confined, _served("--unconfined") as unconfined:
        for server in (confined, unconfined):
            server.fill()
            server.insert()
            server.client.flush(_COLLECTION)
            server.search()
        compare("search", confined, unconfined, Server.search)
        compare("insert", confined, unconfined, Server.insert)


def compare(name: str, confined: Server, unconfined: Server, ask: Callable[[Server], Turn]) -> None:
    rounds = []
    for number in range(ROUNDS):
        order = (confined, unconfined) if number % 2 else (unconfined, confined)
        turns = {server: ask(server) for server in order}
        rounds.append((turns[confined], turns[unconfined]))
    for what in ("milliseconds", "cpu_milliseconds"):
        pairs = [(getattr(ours, what), getattr(theirs, what)) for ours, theirs in rounds]
        ratios = sorted(ours / theirs for ours, theirs in pairs)
        of_sums = sum(ours for ours, _ in pairs) / sum(theirs for _, theirs in pairs)
        quarter = len(ratios) // 4
        print(
            f"  {name} {what}: {median(a for a, _ in pairs):.2f} confined, "
            f"{median(b for _, b in pairs):.2f} unconfined, ratio {median(ratios):.3f} "
            f"(middle half: {ratios[quarter]:.3f} to {ratios[-quarter - 1]:.3f}; "
            f"of sums {of_sums:.3f})"
        )


if __name__ == "__main__":
    main()
