"""A small archive with two collections, and what is needed to make others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from backups.archive.access_control import (
    AccessControl,
    GrantDescription,
    PrivilegeGroupDescription,
    RoleDescription,
)
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.archive.manifest import Capture, Manifest
from backups.archive.parts import Part
from backups.archive.writer import seal, write_parts
from backups.stores.base import Store
from backups.stores.local import LocalStore
from backups.stores.memory import MemoryStore
from tests.archive.generated import Rows, batch_of

ARCHIVE = "org/bak-1"
VERSION_1 = Path(__file__).parent / "version_1"
"""Archives of `small_contents` that the console wrote before format version 2."""
VERSION_2 = Path(__file__).parent / "version_2"
"""The same before format version 3."""
CAPTURE = Capture(
    database="default",
    captured_at="2026-11-23T00:00:00+00:00",
    method="snapshot",
    milvus_version="3.2.2",
    warnings=("index names are not kept by this server",),
    database_properties={"timezone": "Asia/Shanghai"},
)
ACCESS_CONTROL = AccessControl(
    users=("alice", "root"),
    roles=(
        RoleDescription(
            name="reader",
            members=("alice",),
            grants=(
                GrantDescription(
                    object_type="Collection",
                    object_name="notes",
                    database="default",
                    privilege="Query",
                ),
            ),
        ),
    ),
    privilege_groups=(PrivilegeGroupDescription(name="reading", privileges=("Query", "Search")),),
)
BOOKS = CollectionDescription(
    name="books",
    fields=(
        FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True),
        FieldDescription(name="vector", data_type=DataType.FLOAT_VECTOR, params={"dim": "8"}),
        FieldDescription(name="title", data_type=DataType.VARCHAR, nullable=True),
    ),
    enable_dynamic_field=True,
    partitions=("_default", "old"),
)
NOTES = CollectionDescription(
    name="notes",
    fields=(FieldDescription(name="key", data_type=DataType.VARCHAR, is_primary_key=True),),
)


def books(start: int, count: int) -> pa.RecordBatch:
    ids = range(start, start + count)
    vectors = [[(each * 8 + at) % 2**31 for at in range(8)] for each in ids]
    titles = [None if each % 3 == 0 else f"title {each}" for each in ids]
    return batch_of(BOOKS, [list(ids), vectors, titles, [b'{"page":%d}' % each for each in ids]])


def notes(*keys: str) -> pa.RecordBatch:
    return batch_of(NOTES, [list(keys)])


def manifest_of(parts: Sequence[Part], *collections: CollectionDescription) -> Manifest:
    return Manifest.of(
        backup_id="bak-1",
        organization_id="0b0e7a2e-6f0c-4f43-9d4e-1f4d5f0b7c11",
        capture=CAPTURE,
        collections=collections,
        parts=parts,
        access_control=ACCESS_CONTROL,
    )


def write_archive(store: Store, contents: Iterable[Rows], *, part_bytes: int = 1) -> Manifest:
    """With one byte as the bound, each batch becomes a part."""
    contents = list(contents)
    parts = [
        part
        for rows in contents
        for partition, batches in rows.batches.items()
        for part in write_parts(
            store, ARCHIVE, rows.description, partition, batches, part_bytes=part_bytes
        )
    ]
    manifest = manifest_of(parts, *(rows.description for rows in contents))
    seal(store, ARCHIVE, manifest)
    return manifest


def small_contents() -> list[Rows]:
    return [
        Rows(BOOKS, {"_default": [books(0, 5), books(5, 4)], "old": [books(100, 3)]}),
        Rows(NOTES, {"_default": [notes("", "\0", 'a "quoted" \\ key', "ключ")]}),
    ]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def manifest(store: MemoryStore) -> Manifest:
    return write_archive(store, small_contents())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The same archive on disk: the directory that holds manifest.json."""
    write_archive(LocalStore(tmp_path), small_contents())
    return tmp_path / ARCHIVE


@pytest.fixture
def part_files(directory: Path) -> Callable[[], list[Path]]:
    return lambda: sorted((directory / "parts").iterdir())
