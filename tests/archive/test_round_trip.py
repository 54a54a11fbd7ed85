"""Rows that are read back equal the written rows, bit by bit."""

from __future__ import annotations

import io
from typing import Any

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.archive.checksum import RowChecksum
from backups.archive.description import CollectionDescription
from backups.archive.manifest import Manifest, parse, serialize
from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.stores.memory import MemoryStore
from tests.archive.conftest import ARCHIVE, write_archive
from tests.archive.generated import Rows, all_values, descriptions, rows

slowly = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def rows_in(reader: ArchiveReader, collection: str, partition: str) -> list[tuple[Any, ...]]:
    return all_values(list(reader.rows_of(collection, partition)))


@slowly
@given(rows(), st.sampled_from([1, 300, 1 << 20]))
def test_every_row_of_every_type_comes_back_bit_by_bit(written: Rows, part_bytes: int) -> None:
    store = MemoryStore()
    write_archive(store, [written], part_bytes=part_bytes)
    reader = ArchiveReader(store, ARCHIVE)
    for partition, batches in written.batches.items():
        assert rows_in(reader, written.description.name, partition) == all_values(batches)


@slowly
@given(rows())
def test_what_was_written_is_sound(written: Rows) -> None:
    store = MemoryStore()
    write_archive(store, [written])
    assert findings(store, ARCHIVE) == []


@slowly
@given(rows())
def test_the_manifest_counts_and_sums_all_rows(written: Rows) -> None:
    manifest = write_archive(MemoryStore(), [written])
    batches = [batch for batches in written.batches.values() for batch in batches]
    assert manifest.rows == written.count
    assert manifest.collections[0].row_checksum == RowChecksum.of(batches).digest()


@slowly
@given(descriptions())
def test_a_description_comes_back_from_the_manifest(description: CollectionDescription) -> None:
    manifest = write_archive(MemoryStore(), [Rows(description, {})])
    assert parse(serialize(manifest)).collection(description.name).description == description


@slowly
@given(rows())
def test_what_is_written_twice_is_the_same(written: Rows) -> None:
    first, second = MemoryStore(), MemoryStore()
    write_archive(first, [written])
    write_archive(second, [written])
    assert first.objects == second.objects


@pytest.fixture
def part(store: MemoryStore, manifest: Manifest) -> bytes:
    return store.objects[f"{ARCHIVE}/{next(manifest.parts).name}"]


def test_pyarrow_reads_a_part(part: bytes) -> None:
    table = pq.read_table(io.BytesIO(part))
    assert table.column_names == ["id", "vector", "title", "$meta"]
    assert table.column("id").to_pylist() == [0, 1, 2, 3, 4]


def test_pandas_reads_a_part(part: bytes) -> None:
    frame = pd.read_parquet(io.BytesIO(part))
    assert frame["title"].isna().tolist() == [True, False, False, True, False]
    assert [len(vector) for vector in frame["vector"]] == [8] * 5


def test_duckdb_reads_a_part(part: bytes, tmp_path: Any) -> None:
    (tmp_path / "part.parquet").write_bytes(part)
    query = """select id, len(vector), decode("$meta")::json->>'page' from read_parquet(?)"""
    found = duckdb.execute(query, [str(tmp_path / "part.parquet")]).fetchall()
    assert found == [(each, 8, str(each)) for each in range(5)]


def test_duckdb_calls_a_float_vector_a_list_of_floats(part: bytes, tmp_path: Any) -> None:
    (tmp_path / "part.parquet").write_bytes(part)
    query = "select column_name, column_type from (describe from read_parquet(?))"
    found = dict(duckdb.execute(query, [str(tmp_path / "part.parquet")]).fetchall())
    assert (found["vector"], found["id"], found["title"]) == ("FLOAT[]", "BIGINT", "VARCHAR")


@slowly
@given(rows(most_rows=3))
def test_duckdb_and_pandas_read_every_type(tmp_path_factory: Any, written: Rows) -> None:
    store = MemoryStore()
    manifest = write_archive(store, [written])
    for part in manifest.parts:
        data = store.objects[f"{ARCHIVE}/{part.name}"]
        path = tmp_path_factory.mktemp("part") / "part.parquet"
        path.write_bytes(data)
        found = duckdb.read_parquet(str(path)).to_arrow_table()
        assert (found.num_rows, len(pd.read_parquet(path))) == (part.rows, part.rows)


def test_nothing_of_the_reading_machine_is_in_a_part(part: bytes) -> None:
    assert pq.read_schema(pa.BufferReader(part)).metadata is None
