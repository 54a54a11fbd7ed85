"""A reader by docs/archive-format.md alone: json, hashlib, pyarrow and nothing of ours."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def read_manifest(archive: Path) -> dict[str, Any]:
    """Sections 2 and 3."""
    data = (archive / "manifest.json").read_bytes()
    manifest: dict[str, Any] = json.loads(data)
    body = {name: value for name, value in manifest.items() if name != "sha256"}
    assert body["format"] == "vbase-archive"
    assert body["format_version"] in (1, 2, 3)
    assert ("database_properties" in body["capture"]) == (body["format_version"] >= 2)
    assert ("access_control" in body) == (body["format_version"] >= 3)
    assert canonical(manifest) == data
    assert hashlib.sha256(canonical(body)).hexdigest() == manifest["sha256"]
    return manifest


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_part(archive: Path, part: dict[str, Any]) -> pa.Table:
    """Section 4."""
    data = (archive / "parts" / f"{part['sha256']}.parquet").read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (part["bytes"], part["sha256"])
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    assert table.num_rows == part["rows"]
    return table


def column_types(description: dict[str, Any]) -> str:
    """The fingerprint of section 5."""
    computed = computed_by_bm25(description)
    fields = [each for each in description["fields"] if each["name"] not in computed]
    if description["enable_dynamic_field"] and not any(each["is_dynamic"] for each in fields):
        fields.append({"name": "$meta", "data_type": "JSON", "nullable": True})
    lines = [f"{each['name']}\t{column_type(each)}\t{null_word(each)}\n" for each in fields]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def computed_by_bm25(description: dict[str, Any]) -> set[str]:
    functions = [each for each in description["functions"] if each["type"] == "BM25"]
    return {name for each in functions for name in each["output_field_names"]}


def null_word(field: dict[str, Any]) -> str:
    return "nullable" if field["nullable"] else "required"


def column_type(field: dict[str, Any]) -> str:
    kind, dim = field["data_type"], int(field.get("params", {}).get("dim", 0))
    vectors = {
        "FLOAT_VECTOR": f"list<float32>[{dim}]",
        "INT8_VECTOR": f"list<int8>[{dim}]",
        "BINARY_VECTOR": f"bytes[{dim // 8}]",
        "FLOAT16_VECTOR": f"bytes[{dim * 2}]",
        "BFLOAT16_VECTOR": f"bytes[{dim * 2}]",
    }
    if kind == "ARRAY":
        return f"list<{SCALARS[field['element_type']]}>"
    return vectors.get(kind) or SCALARS[kind]


SCALARS = {
    "BOOL": "bool",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "VARCHAR": "string",
    "TEXT": "string",
    "GEOMETRY": "string",
    "JSON": "binary",
    "TIMESTAMPTZ": "timestamp[us, UTC]",
    "SPARSE_FLOAT_VECTOR": "binary",
}


def row_checksum(tables: list[pa.Table]) -> str:
    """Section 6, a row and a value at a time."""
    total = 0
    for table in tables:
        for row in spelled_rows(table):
            total += int.from_bytes(hashlib.sha256(row).digest(), "little")
    return f"{total % 2**256:064x}"


def spelled_rows(table: pa.Table) -> Iterator[bytes]:
    names = sorted(table.column_names, key=lambda name: name.encode())
    columns = [table.column(name) for name in names]
    for at in range(table.num_rows):
        yield b"".join(spelled(column[at]) for column in columns)


def spelled(value: pa.Scalar) -> bytes:
    return b"\1" + content(value) if value.is_valid else b"\0"


def content(value: pa.Scalar) -> bytes:
    kind = value.type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        elements = [content(each) for each in value.values]
        return struct.pack("<I", len(elements)) + b"".join(elements)
    if pa.types.is_fixed_size_binary(kind):
        return bytes(value.as_py())
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        raw = bytes(value.as_buffer() or b"")
        return struct.pack("<I", len(raw)) + raw
    if pa.types.is_boolean(kind):
        return bytes([value.as_py()])
    return fixed(value)


def fixed(value: pa.Scalar) -> bytes:
    """The bits as they lie in memory, little-endian on every machine that Arrow runs on here."""
    raw: bytes = pa.repeat(value, 1).buffers()[1].to_pybytes()
    return raw[: value.type.bit_width // 8]
