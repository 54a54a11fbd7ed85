"""Reading and writing a full Milvus over one connection and over several, in one run.

    python -m benchmarks.full_milvus [--rows 200000] [--dim 128] [--connections 1 2 4] [--rounds 3]

The server is Milvus 2.3.5 from PyPI, as it is installed: with its default intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymilvus import MilvusClient

from backups.archive.description import CollectionDescription
from backups.milvus.client import Client, MilvusAddress
from backups.milvus.create import create
from backups.milvus.errors import MilvusError
from backups.milvus.schema import describe
from backups.milvus.wire import WireScan
from benchmarks import backup
from benchmarks.backup import SOURCE, USERS_WAY, Bench, Figure
from tests.full_milvus.server import program, started

CREDENTIAL = "root:Milvus"
_PAGE_ROWS = 16_384
_START_SECONDS = 120
Way = tuple[str, Callable[[], Any]]


@contextmanager
def filled(rows: int, dim: int) -> Iterator[Bench]:
    """Start a server with one loaded collection."""
    with tempfile.TemporaryDirectory() as directory, started(Path(directory, "data"), {}) as port:
        _wait_until_ready(port)
        tenant = MilvusClient(f"http://127.0.0.1:{port}", token=CREDENTIAL, db_name="default")
        with Client(_address(port)) as client:
            backup.make_source(tenant, client, rows, dim, "FLAT")
            yield Bench(
                port=port,
                work=Path(directory),
                rows=rows,
                dim=dim,
                index="",
                groups=(),
                client=client,
                tenant=tenant,
            )


def _address(port: int) -> MilvusAddress:
    return MilvusAddress(host="127.0.0.1", port=port, credential=CREDENTIAL)


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            with Client(_address(port), quick_seconds=5) as client:
                client.databases()
                return
        except MilvusError:
            time.sleep(0.2)
    raise SystemExit(f"Milvus did not start within {_START_SECONDS} s.")


def reading(bench: Bench, connections: Sequence[int], rounds: int) -> list[Figure]:
    """Measure each way once in every round, because other load changes from minute to minute."""
    ways: list[Way] = [
        (f"raw Query, pages of {_PAGE_ROWS}", lambda: backup.raw_drain(bench, _PAGE_ROWS))
    ]
    for count in connections:
        ways.append((f"ours, {count} at once, thrown away", _reader(bench, count, sealed=False)))
        ways.append((f"ours, {count} at once, sealed archive", _reader(bench, count, sealed=True)))
    measured = [[bench.timed("read", *way) for way in ways] for _ in range(rounds)]
    users_way = bench.timed("read", USERS_WAY, lambda: backup.query_iterator(bench))
    return [*map(_fastest, zip(*measured, strict=True)), users_way]


def _fastest(figures: Iterable[Figure]) -> Figure:
    return min(figures, key=lambda figure: figure.seconds)


def _reader(bench: Bench, connections: int, *, sealed: bool) -> Callable[[], None]:
    def read() -> None:
        with Client(_address(bench.port), connections=connections) as client:
            scan = WireScan(client, describe(client, SOURCE))
            if sealed:
                backup.to_archive(bench, scan, f"archive-{uuid.uuid4().hex}")
            else:
                backup.drain(scan)

    return read


def writing(bench: Bench, connections: Sequence[int], rounds: int) -> list[Figure]:
    collection = describe(bench.client, SOURCE)
    batches = list(backup.generated(collection, bench.rows, bench.dim))
    ways: list[Way] = [
        (
            "columns of 10000, one after another",
            lambda: backup.columnar_loop(bench.client, "target", batches, 10_000),
        ),
        *((f"ours, {count} at once", _writer(bench, count, batches)) for count in connections),
    ]
    measured = [[_into_new(bench, collection, way) for way in ways] for _ in range(rounds)]
    return [*map(_fastest, zip(*measured, strict=True))]


def _into_new(bench: Bench, collection: CollectionDescription, way: Way) -> Figure:
    create(bench.client, collection, "target")
    figure = bench.timed("write", *way)
    bench.client.drop("target")
    return figure


def _writer(bench: Bench, connections: int, batches: list[Any]) -> Callable[[], None]:
    def write() -> None:
        with Client(_address(bench.port), connections=connections) as client:
            own = dataclasses.replace(bench, client=client)
            backup.inserter(own, "target", batches)

    return write


def peaks(bench: Bench, connections: Sequence[int]) -> Iterator[str]:
    """Measure the peak memory of a process that reads the collection into an archive."""
    for count in connections:
        command = [sys.executable, "-m", "benchmarks.full_milvus", "--read", str(bench.port)]
        output = subprocess.run(
            [*command, "--connections", str(count)], check=True, stdout=subprocess.PIPE
        ).stdout
        yield f"| {count} | {int(output.split()[-1]) / 1024:,.0f} MiB |"


def _read_alone(port: int, connections: int) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        Client(_address(port), connections=connections) as client,
    ):
        tenant: Any = None
        bench = Bench(
            port=port,
            work=Path(directory),
            rows=0,
            dim=0,
            index="",
            groups=(),
            client=client,
            tenant=tenant,
        )
        backup.to_archive(bench, WireScan(client, describe(client, SOURCE)), "alone")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    print(found[1] if found else 0)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3, help="the fastest round is printed")
    parser.add_argument("--read", type=int, default=0, help="port of a server to read from")
    options = parser.parse_args(arguments)
    if options.read:
        _read_alone(options.read, options.connections[0])
        return
    if program() is None:
        print("There is no full Milvus for this platform, so nothing is measured.")
        return
    with filled(options.rows, options.dim) as bench:
        print(f"{options.rows} rows of {options.dim} dimensions, full Milvus 2.3.5")
        given = bench, options.connections, options.rounds
        print(backup.table([*reading(*given), *writing(*given)]))
        print(
            "\n".join(
                ["| connections | peak |", "|--:|--:|", *peaks(bench, [*options.connections, 8])]
            )
        )


if __name__ == "__main__":
    main()
