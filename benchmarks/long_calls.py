"""Latency of a one-row query while another collection's index is built, beside the bare engine.

    python -m benchmarks.long_calls [--rows 20000] [--seconds 10]

Both servers have one core, and one client asks for the same row again and again on the other core.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from functools import partial
from pathlib import Path

import grpc
import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from benchmarks.backup import CREDENTIAL, cluster
from clusters.drivers.embedded.layout import choose_port

_DIMENSION = 128
_ROWS_A_CALL = 4_000
_WRITERS = 128
_QUERY_SECONDS = 5.0
_PAUSE_SECONDS = 0.01
_START_SECONDS = 60
_BARE = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[3])})
from milvus_lite.adapter.grpc.server import run_server
run_server(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]))
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latencies:
    """Milliseconds of the queries that were answered, and the number of those that were not."""

    answered: Sequence[float]
    unanswered: int

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.answered, percent)) if self.answered else float("nan")

    def __str__(self) -> str:
        p50, p99, longest = map(self.percentile, (50, 99, 100))
        return (
            f"{len(self.answered)} answered, {self.unanswered} not; "
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms"
        )


@contextlib.contextmanager
def bare_engine(work: Path) -> Iterator[int]:
    """The engine's own server on one core, ended by its pid."""
    port = choose_port(work)
    command = [sys.executable, "-c", _BARE, str(work / "bare"), str(port), str(_core_of(port))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(_START_SECONDS)
        yield port
    finally:
        process.kill()
        process.wait()


def _core_of(port: int) -> int:
    """The core that a launcher on this port uses when it has one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[port % len(cores)]


@contextlib.contextmanager
def on_other_cores(core: int) -> Iterator[None]:
    """Keep this process away from the server's core, where there is another one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {core} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def fill(client: MilvusClient, rows: int) -> None:
    client.create_collection("other", dimension=4)
    client.insert("other", [{"id": 1, "vector": [1.0, 2.0, 3.0, 4.0]}])
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=_DIMENSION)
    client.create_collection("busy", schema=schema)
    random = np.random.default_rng(0)
    for first in range(0, rows, _ROWS_A_CALL):
        vectors = random.random((_ROWS_A_CALL, _DIMENSION), dtype=np.float32)
        client.insert("busy", [{"id": first + n, "vector": v} for n, v in enumerate(vectors)])
    client.flush("busy")


def measured(client: MilvusClient, is_over: Callable[[], bool]) -> Latencies:
    answered: list[float] = []
    unanswered = 0
    while not is_over():
        begun = time.perf_counter()
        try:
            client.query("other", filter="id == 1", timeout=_QUERY_SECONDS)
            answered.append((time.perf_counter() - begun) * 1000)
        except (grpc.RpcError, MilvusException):
            unanswered += 1
        time.sleep(_PAUSE_SECONDS)
    return Latencies(answered=answered, unanswered=unanswered)


def build(client: MilvusClient) -> None:
    params = client.prepare_index_params()
    settings = {"M": 32, "efConstruction": 300}
    params.add_index("vector", index_type="HNSW", metric_type="L2", params=settings)
    client.create_index("busy", params)


def drop(client: MilvusClient) -> None:
    client.release_collection("busy")
    client.drop_index("busy", "vector")


def run(way: str, port: int, rows: int, seconds: float, *, with_writers: bool) -> None:
    uri = f"http://127.0.0.1:{port}"
    client, asking = (MilvusClient(uri, token=CREDENTIAL) for _ in range(2))
    fill(client, rows)
    with on_other_cores(_core_of(port)), futures.ThreadPoolExecutor(_WRITERS + 1) as threads:
        deadline = time.monotonic() + seconds
        quiet = measured(asking, lambda: time.monotonic() > deadline)
        print(f"{way:12} nothing else     {quiet}", flush=True)
        building = threads.submit(build, client)
        during = measured(asking, building.done)
        print(f"{way:12} index build      {during}", flush=True)
        allowed = 3 * quiet.percentile(99) + 50
        print(
            f"{way:12} p99 {during.percentile(99):.1f} ms of at most {allowed:.1f} ms", flush=True
        )
        if with_writers:
            drop(client)
            building = threads.submit(build, client)
            row = {"vector": [0.0] * _DIMENSION}
            writers = [
                threads.submit(client.insert, "busy", {**row, "id": rows + number}, timeout=600)
                for number in range(_WRITERS)
            ]
            during = measured(asking, building.done)
            print(f"{way:12} and {_WRITERS} writers  {during}", flush=True)
            print(f"{way:12} {sum(w.result()['insert_count'] for w in writers)} rows written")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args(arguments)
    for way, server in (("bare engine", bare_engine), ("ours", partial(cluster, cores=1))):
        with tempfile.TemporaryDirectory() as directory, server(Path(directory)) as port:
            run(way, port, options.rows, options.seconds, with_writers=way == "ours")


if __name__ == "__main__":
    main()
