"""The files for Milvus' bulk import contain exactly what the archive contains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.archive.export import ExportRefused, export
from backups.archive.importable import importable
from backups.archive.reader import ArchiveReader
from backups.stores.memory import MemoryStore
from tests.archive.conftest import ARCHIVE, write_archive
from tests.archive.generated import Rows, batch_of, rows

KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)


def converted(value: Any, **field: Any) -> pa.Array:
    """One value's column beside a key, as bulk import gets it; and one null."""
    described = FieldDescription(name="it", nullable=True, **field)
    collection = CollectionDescription(name="c", fields=(KEY, described))
    batch = batch_of(collection, [[0, 1, 2], [value, value, None]]).slice(1)
    return importable(batch, collection).column("it")


CASES: dict[str, tuple[Any, dict[str, Any], pa.DataType, Any]] = {
    "float vector": (
        [0x3F800000] * 8,
        {"data_type": DataType.FLOAT_VECTOR, "params": {"dim": "8"}},
        pa.list_(pa.float32()),
        [1.0] * 8,
    ),
    "int8 vector": (
        [-1] * 8,
        {"data_type": DataType.INT8_VECTOR, "params": {"dim": "8"}},
        pa.list_(pa.int8()),
        [-1] * 8,
    ),
    "binary vector": (
        b"\x01\xff",
        {"data_type": DataType.BINARY_VECTOR, "params": {"dim": "16"}},
        pa.list_(pa.uint8()),
        [1, 255],
    ),
    "half precision": (
        b"\x00\x3c" * 8,
        {"data_type": DataType.FLOAT16_VECTOR, "params": {"dim": "8"}},
        pa.list_(pa.uint8()),
        [0, 60] * 8,
    ),
    "sparse vector": (
        bytes.fromhex("07000000cdcccc3d"),
        {"data_type": DataType.SPARSE_FLOAT_VECTOR},
        pa.string(),
        '{"7": 0.1}',
    ),
    "json": (b'{"a": 1}', {"data_type": DataType.JSON}, pa.string(), '{"a": 1}'),
    "instant": (
        1_500_000,
        {"data_type": DataType.TIMESTAMPTZ},
        pa.string(),
        "1970-01-01T00:00:01.500000Z",
    ),
    "array": (
        ["a", ""],
        {"data_type": DataType.ARRAY, "element_type": DataType.VARCHAR},
        pa.list_(pa.string()),
        ["a", ""],
    ),
}


@pytest.mark.parametrize(("value", "field", "type_", "wanted"), CASES.values(), ids=CASES)
def test_each_type_is_what_bulk_import_takes(
    value: Any, field: dict[str, Any], type_: pa.DataType, wanted: Any
) -> None:
    column = converted(value, **field)
    assert column.to_pylist() == [wanted, None]
    assert _without_names(column.type) == _without_names(type_)


def _without_names(type_: pa.DataType) -> str:
    return str(type_.value_type) if pa.types.is_list(type_) else str(type_)


def test_what_the_server_computes_is_left_out() -> None:
    sparse = FieldDescription(
        name="bm25", data_type=DataType.SPARSE_FLOAT_VECTOR, is_function_output=True
    )
    collection = CollectionDescription(name="c", fields=(KEY, sparse))
    assert importable(batch_of(collection, [[1], [b""]]), collection).schema.names == ["id"]


def test_a_row_without_dynamic_fields_has_an_empty_object() -> None:
    collection = CollectionDescription(name="c", fields=(KEY,), enable_dynamic_field=True)
    batch = batch_of(collection, [[1, 2], [None, b'{"a":1}']])
    assert importable(batch, collection).column("$meta").to_pylist() == ["{}", '{"a":1}']


def test_json_that_is_no_text_is_refused_and_not_changed(tmp_path: Path) -> None:
    document = FieldDescription(name="it", data_type=DataType.JSON)
    collection = CollectionDescription(name="c", fields=(KEY, document))
    store = MemoryStore()
    write_archive(store, [Rows(collection, {"_default": [batch_of(collection, [[1], [b"\xff"]])]})])
    with pytest.raises(ExportRefused, match="c: bulk import cannot represent a value"):
        list(export(ArchiveReader(store, ARCHIVE), tmp_path / "out"))


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(rows())
def test_names_of_an_archive_do_not_choose_where_files_go(
    tmp_path_factory: Any, written: Rows
) -> None:
    directory, store = tmp_path_factory.mktemp("export"), MemoryStore()
    write_archive(store, [Rows(written.description, {})])
    for path in export(ArchiveReader(store, ARCHIVE), directory / "out"):
        assert path.resolve().is_relative_to(directory / "out")
    (schema,) = directory.rglob("schema.json")
    assert CollectionDescription.from_json(json.loads(schema.read_text())) == written.description


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(rows(most_rows=3))
def test_every_row_is_exported(tmp_path_factory: Any, written: Rows) -> None:
    out, store = tmp_path_factory.mktemp("export"), MemoryStore()
    write_archive(store, [written])
    try:
        files = [path for path in export(ArchiveReader(store, ARCHIVE), out) if is_part(path)]
    except ExportRefused:
        return
    assert sum(pq.read_metadata(path).num_rows for path in files) == written.count


def is_part(path: Path) -> bool:
    return path.suffix == ".parquet"
