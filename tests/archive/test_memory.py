"""Memory holds one part's worth, however many rows there are. In processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
import numpy as np, pyarrow as pa
from backups.archive.columns import arrow_schema
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.archive.manifest import Capture, Manifest
from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.archive.writer import seal, write_parts
from backups.stores.local import LocalStore

DIM, STEP = 64, 5_000
collection = CollectionDescription(name="many", fields=(
    FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True),
    FieldDescription(name="vector", data_type=DataType.FLOAT_VECTOR, params={"dim": str(DIM)}),
))
schema = arrow_schema(collection)

def batches(rows):
    chosen = np.random.default_rng(1)
    for start in range(0, rows, STEP):
        vectors = pa.array(chosen.random(STEP * DIM, np.float32))
        yield pa.record_batch([
            pa.array(np.arange(start, start + STEP)),
            pa.FixedSizeListArray.from_arrays(vectors, type=schema.field("vector").type),
        ], schema=schema)

store, rows = LocalStore(sys.argv[1]), int(sys.argv[2])
parts = list(write_parts(store, "a/b", collection, "_default", batches(rows), part_bytes=4 << 20))
seal(store, "a/b", Manifest.of(backup_id="b", organization_id="a", capture=Capture(
    database="default", captured_at="2026-11-23T00:00:00Z", method="none", milvus_version="",
), collections=[collection], parts=parts))
read = sum(b.num_rows for b in ArchiveReader(store, "a/b").rows_of("many", "_default"))
assert (read, findings(store, "a/b")) == (rows, [])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def peak(tmp_path: Path) -> object:
    def peak(rows: int) -> int:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / str(rows)), str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
        return int(done.stdout)

    return peak


def test_ten_times_the_rows_take_a_fifth_more_memory_at_most(peak) -> None:  # type: ignore[no-untyped-def]
    assert peak(300_000) <= 1.2 * peak(30_000)
