"""Speed of reading and writing a collection, compared with the usual way of users.

    python -m benchmarks.backup [--rows 200000] [--dim 128] [--index HNSW]

All in one run on one embedded cluster, because figures of different runs do not compare: rows per
second, and the factor against the way that stands first in its group, or a user's own way.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2

from backups.archive.columns import arrow_schema
from backups.archive.description import CollectionDescription
from backups.archive.manifest import Capture, Manifest
from backups.archive.writer import seal, write_parts
from backups.milvus import keys
from backups.milvus.client import Client, MilvusAddress, consistency, pairs
from backups.milvus.create import create
from backups.milvus.decode import keys_of
from backups.milvus.encode import field_data
from backups.milvus.insert import Inserter
from backups.milvus.scan import Scan
from backups.milvus.schema import describe
from backups.milvus.snapshot import Snapshots
from backups.milvus.wire import WireScan, iterator_params
from backups.stores.local import LocalStore
from clusters.drivers.embedded.answers import Unreachable
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.layout import CONSOLE_SNAPSHOTS, choose_port
from clusters.drivers.embedded.server.authentication import fingerprint

USERS_WAY = "query_iterator + LocalBulkWriter"
"""Measured last of its group: it waits until an index is built, and the others do not."""
_GROUPS = ("read", "wire", "write")
CREDENTIAL = "benchmark"
SOURCE = "source"
_DRAIN_ROWS = 20_000
_START_SECONDS = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    group: str
    way: str
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """One cluster with one filled collection."""

    port: int
    work: Path
    rows: int
    dim: int
    index: str
    groups: Sequence[str]
    client: Client
    tenant: MilvusClient

    def timed(self, group: str, way: str, work: Callable[[], Any]) -> Figure:
        started = time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        figure = Figure(group=group, way=way, rows=self.rows, seconds=seconds)
        print(f"{group:8} {way:44} {figure.rate:10,.0f} rows/s", flush=True)
        return figure


@contextlib.contextmanager
def cluster(work: Path, cores: int = 2) -> Iterator[int]:
    """A launcher on a port of its own, ended by its pid."""
    port = choose_port(work)
    command = [
        sys.executable,
        "-m",
        "clusters.drivers.embedded.server.launcher",
        "--cores",
        str(cores),
    ]
    process = subprocess.Popen(
        [*command, "--data-dir", str(work / "data"), "--port", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    given = {"token_sha256": fingerprint(CREDENTIAL), "control_sha256": fingerprint("c")}
    assert process.stdin is not None  # noqa: S101
    with process.stdin as pipe:
        pipe.write(json.dumps(given).encode() + b"\n")
    try:
        _wait_until_ready(port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if ControlClient(port, "c").call("Health")["ready"]:
                return
        except Unreachable:
            pass
        time.sleep(0.1)
    raise SystemExit(f"The cluster did not start within {_START_SECONDS} s.")


def generated(collection: CollectionDescription, rows: int, dim: int) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(1)
    schema = arrow_schema(collection)
    for start in range(0, rows, 10_000):
        numbers = range(start, min(start + 10_000, rows))
        vectors = random.random(len(numbers) * dim, dtype=np.float32)
        columns = [
            pa.array(numbers, pa.int64()),
            pa.array([f"the title of document {number}" for number in numbers]),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors), type=schema.field("vector").type),
            pa.array([b'{"rank": %d, "tag": "t%d"}' % (n, n % 9) for n in numbers]),
        ]
        yield pa.record_batch(columns, schema=schema)


def make_source(tenant: MilvusClient, client: Client, rows: int, dim: int, index: str = "") -> None:
    """With an index it is loaded before the rows come: the engine builds the index of each segment
    in the background, while what is pinned is read. How much there is after each way is printed.
    """
    schema = tenant.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("title", DataType.VARCHAR, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
    params = tenant.prepare_index_params()
    if index:
        params.add_index("vector", index_type=index, metric_type="COSINE")
    tenant.create_collection(SOURCE, schema=schema, index_params=params if index else None)
    collection = describe(client, SOURCE)
    inserter = Inserter(client, collection, SOURCE)
    for batch in generated(collection, rows, dim):
        inserter.add(batch, "_default")
    inserter.finish()
    client.flush([SOURCE])


def _indexed(bench: Bench) -> str:
    control = ControlClient(bench.port, "c")
    found = control.call("IndexProgress", database="default", collection=SOURCE)
    return f"{found['indexed']} of {found['total']}"


# Reading


def to_parquet(scan: Scan, path: Path) -> None:
    """Write a stream to disk as an archive does: Parquet with zstd, hashed."""
    with pq.ParquetWriter(path, arrow_schema(scan.collection), compression="zstd") as writer:
        for scanned in scan.batches():
            writer.write_batch(scanned.batch)
    hashlib.file_digest(path.open("rb"), "sha256")


def to_archive(bench: Bench, scan: Scan, name: str) -> None:
    """Write an archive as a job does: parts with hashes and checksums, fsync, and the manifest."""
    store = LocalStore(bench.work / "store")
    batches = (scanned.batch for scanned in scan.batches())
    parts = list(write_parts(store, name, scan.collection, "_default", batches))
    capture = Capture(
        database="default",
        captured_at="2026-01-01T00:00:00+00:00",
        method="snapshot",
        milvus_version="benchmark",
    )
    manifest = Manifest.of(
        backup_id=name,
        organization_id="benchmark",
        capture=capture,
        collections=[scan.collection],
        parts=parts,
    )
    seal(store, name, manifest)


def drain(scan: Scan) -> None:
    for _ in scan.batches():
        pass


def raw_drain(bench: Bench, rows: int) -> None:
    """Query all rows in the order of the key, and discard the answers."""
    key = describe(bench.client, SOURCE).primary_key
    expression = keys.every(key)
    while True:
        request = milvus_pb2.QueryRequest(
            collection_name=SOURCE,
            expr=expression,
            output_fields=["id", "title", "vector", "$meta"],
            query_params=pairs(iterator_params(rows)),
            **consistency(None),
        )
        answer = bench.client.call("Query", request, seconds=600)
        listed = keys_of(answer.fields_data, key)
        if not listed:
            return
        expression = keys.after(key, listed[-1])


def query_iterator(bench: Bench) -> None:
    """Read as users do today. Requires `pymilvus[bulk_writer]`."""
    from pymilvus.bulk_writer import BulkFileType, LocalBulkWriter

    info = bench.tenant.describe_collection(SOURCE)
    schema = bench.tenant.create_schema(enable_dynamic_field=True)
    for field in info["fields"]:
        schema.add_field(
            field["name"],
            field["type"],
            is_primary=field.get("is_primary", False),
            **field["params"],
        )
    writer = LocalBulkWriter(
        schema=schema, local_path=str(bench.work / "bulk"), file_type=BulkFileType.PARQUET
    )
    iterator = bench.tenant.query_iterator(SOURCE, batch_size=5_000, output_fields=["*"])
    while rows := iterator.next():
        for row in rows:
            writer.append_row(row)
    iterator.close()
    writer.commit()


def reading(bench: Bench) -> list[Figure]:
    snapshots = Snapshots(ControlClient(bench.port, "c"), bench.work / "data" / CONSOLE_SNAPSHOTS)
    collection = describe(bench.client, SOURCE)
    numbers = itertools.count()

    def pin() -> Scan:
        """A new one each time: flushing and pinning are part of what is measured."""
        taken = snapshots.take(f"bench-{next(numbers)}", database="default", collections=[SOURCE])
        return taken.scans()[0]

    def wire() -> Scan:
        return WireScan(bench.client, collection)

    ways: list[tuple[str, str, Callable[[], Any]]] = [
        ("read", "pinned files, thrown away", lambda: drain(pin())),
        ("read", "pinned files, to Parquet", lambda: to_parquet(pin(), bench.work / "p")),
        ("read", "pinned files, as a sealed archive", lambda: to_archive(bench, pin(), "pinned")),
        ("read", USERS_WAY, lambda: query_iterator(bench)),
        ("wire", f"raw Query, pages of {_DRAIN_ROWS}", lambda: raw_drain(bench, _DRAIN_ROWS)),
        ("wire", "raw Query, pages of 5000", lambda: raw_drain(bench, 5_000)),
        ("wire", "wire, thrown away", lambda: drain(wire())),
        ("wire", "wire, to Parquet", lambda: to_parquet(wire(), bench.work / "w")),
        ("wire", "wire, as a sealed archive", lambda: to_archive(bench, wire(), "wire")),
    ]
    figures = []
    for way in [way for way in ways if way[0] in bench.groups]:
        figures.append(bench.timed(*way))
        if bench.index:
            print(f"{'':8} {bench.index}: {_indexed(bench)} rows indexed by now", flush=True)
    return figures


# Writing


def columnar_loop(client: Client, name: str, batches: Iterable[pa.RecordBatch], rows: int) -> None:
    """One call after another, nothing else: the fastest loop over the public protocol."""
    fields = describe(client, name).columns
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            columns = [
                field_data(f, piece.column(f.name), embedded=client.server().is_embedded)
                for f in fields
            ]
            request = milvus_pb2.InsertRequest(
                collection_name=name, num_rows=piece.num_rows, fields_data=columns
            )
            client.call("Insert", request)


def dictionaries(bench: Bench, name: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 5_000):
        bench.tenant.insert(name, rows[start : start + 5_000])


def inserter(bench: Bench, name: str, batches: list[pa.RecordBatch]) -> None:
    made = Inserter(bench.client, describe(bench.client, name), name)
    for batch in batches:
        made.add(batch, "_default")
    made.finish()


def writing(bench: Bench) -> list[Figure]:
    collection = describe(bench.client, SOURCE)
    batches = list(generated(collection, bench.rows, bench.dim))
    rows = [_merged(row) for batch in batches for row in batch.to_pylist()]
    ways: list[tuple[str, Callable[[str], Any]]] = [
        ("dictionaries of 5000", lambda name: dictionaries(bench, name, rows)),
        (
            "columns of 5000, one after another",
            lambda name: columnar_loop(bench.client, name, batches, 5_000),
        ),
        (
            "columns of 10000, one after another",
            lambda name: columnar_loop(bench.client, name, batches, 10_000),
        ),
        ("ours", lambda name: inserter(bench, name, batches)),
    ]
    return [_into_new(bench, collection, way, work) for way, work in ways]


def _merged(row: dict[str, Any]) -> dict[str, Any]:
    return {**json.loads(row.pop("$meta")), **row}


def _into_new(
    bench: Bench, collection: CollectionDescription, way: str, work: Callable[[str], Any]
) -> Figure:
    create(bench.client, collection, "target")
    figure = bench.timed("write", way, lambda: work("target"))
    bench.client.drop("target")
    return figure


def run(rows: int, dim: int, index: str, groups: Sequence[str]) -> list[Figure]:
    with tempfile.TemporaryDirectory() as directory, cluster(Path(directory)) as port:
        credential = MilvusAddress(host="127.0.0.1", port=port, credential=CREDENTIAL)
        tenant = MilvusClient(f"http://127.0.0.1:{port}", token=CREDENTIAL)
        with Client(credential) as client:
            bench = Bench(
                port=port,
                work=Path(directory),
                rows=rows,
                dim=dim,
                index=index,
                groups=groups,
                client=client,
                tenant=tenant,
            )
            make_source(tenant, client, rows, dim, index)
            figures = reading(bench)
            return [*figures, *writing(bench)] if "write" in groups else figures


def table(figures: list[Figure]) -> str:
    """Markdown, for docs/benchmarks.md."""
    first = {figure.group: figure.rate for figure in reversed(figures)}
    first |= {figure.group: figure.rate for figure in figures if figure.way == USERS_WAY}
    lines = [
        f"| {f.group} | {f.way} | {f.rate:,.0f} | {f.rate / first[f.group]:.2f} |" for f in figures
    ]
    return "\n".join(["| | way | rows/s | factor |", "|---|---|---:|---:|", *lines])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--index", default="", help="FLAT or HNSW: begun just before reading")
    parser.add_argument("--groups", nargs="+", choices=_GROUPS, default=_GROUPS)
    options = parser.parse_args(arguments)
    print(f"{options.rows} rows of {options.dim} dimensions, index: {options.index or 'none'}")
    print(table(run(options.rows, options.dim, options.index, options.groups)))


if __name__ == "__main__":
    main()
