"""Parts are sealed one by one, and an attempt goes on where the last one ended."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pytest

from backups.archive import reader, writer
from backups.archive.codec import FormatError
from backups.archive.layout import MANIFEST_NAME, delete_archive
from backups.archive.manifest import Manifest, serialize
from backups.archive.parts import Part
from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.archive.writer import rows_sealed, seal, write_parts
from backups.stores.base import ObjectExists, StoreError, StoreFull
from backups.stores.local import LocalStore
from backups.stores.memory import MemoryStore
from tests.archive.conftest import ARCHIVE, BOOKS, NOTES, books, manifest_of, notes
from tests.contracts.test_backup_store import NOW, files_at_most

EACH_BATCH = 1


def write(store: MemoryStore | LocalStore, *batches: pa.RecordBatch, **more: object) -> list[Part]:
    return list(write_parts(store, ARCHIVE, BOOKS, "_default", batches, **more))  # type: ignore[arg-type]


def test_parts_are_bounded_and_end_with_a_batch(store: MemoryStore) -> None:
    batches = [books(at, 10) for at in range(0, 100, 10)]
    parts = write(store, *batches, part_bytes=batches[0].nbytes * 3)
    assert [part.rows for part in parts] == [30, 30, 30, 10]


def test_a_part_says_what_is_in_it(store: MemoryStore) -> None:
    (part,) = write(store, books(3, 4), books(0, 2))
    assert (part.rows, part.key_min.value, part.key_max.value, part.number) == (6, 0, 6, 0)
    assert store.size(f"{ARCHIVE}/{part.name}") == part.bytes


def test_empty_batches_make_no_part(store: MemoryStore) -> None:
    assert write(store, books(0, 0), books(0, 0)) == []


def test_each_part_is_durable_when_it_is_told(store: MemoryStore) -> None:
    writing = write_parts(
        store, ARCHIVE, BOOKS, "_default", (books(at, 1) for at in range(9)), part_bytes=EACH_BATCH
    )
    first = next(writing)
    assert list(store.objects) == [f"{ARCHIVE}/{first.name}"]


def test_the_next_attempt_goes_on_after_the_sealed_parts(store: MemoryStore) -> None:
    batches = [books(at, 10) for at in range(0, 50, 10)]
    first = write(store, *batches[:2], part_bytes=EACH_BATCH)
    kept = [Part.from_json(json.loads(json.dumps(part.to_json()))) for part in first]
    assert rows_sealed(kept, "books", "_default") == 20
    rest = write(store, *batches[2:], part_bytes=EACH_BATCH, sealed=kept)
    seal(store, ARCHIVE, manifest_of([*kept, *rest], BOOKS))
    assert ([part.number for part in rest], findings(store, ARCHIVE)) == ([2, 3, 4], [])


def test_a_part_that_an_attempt_wrote_and_did_not_tell_is_taken_over(store: MemoryStore) -> None:
    (untold,) = write(store, books(0, 10))
    assert write(store, books(0, 10)) == [untold]
    assert len(store.objects) == 1


def test_a_part_that_was_damaged_meanwhile_is_not_taken_over(store: MemoryStore) -> None:
    (part,) = write(store, books(0, 10))
    store.objects[f"{ARCHIVE}/{part.name}"] = b"x" * part.bytes
    with pytest.raises(StoreError, match="damaged"):
        write(store, books(0, 10))


def test_the_same_rows_in_two_collections_are_one_file(store: MemoryStore) -> None:
    twin = dataclasses.replace(BOOKS, name="books_copy")
    parts = [*write(store, books(0, 9))]
    parts += write_parts(store, ARCHIVE, twin, "_default", [books(0, 9)])
    seal(store, ARCHIVE, manifest_of(parts, BOOKS, twin))
    assert (len(list(store.list(f"{ARCHIVE}/parts"))), findings(store, ARCHIVE)) == (1, [])


def test_who_lost_the_right_to_write_publishes_nothing(store: MemoryStore) -> None:
    def refuse() -> NoReturn:
        raise PermissionError("the lease is another's")

    with pytest.raises(PermissionError):
        write(store, books(0, 3), fenced=refuse)
    with pytest.raises(PermissionError):
        seal(store, ARCHIVE, manifest_of([], BOOKS), guard=refuse)
    assert store.objects == {}


def test_an_error_of_the_source_passes_through_and_leaves_nothing(store: MemoryStore) -> None:
    def source() -> Iterator[pa.RecordBatch]:
        yield books(0, 3)
        raise ConnectionError("Milvus went away")

    with pytest.raises(ConnectionError):
        list(write_parts(store, ARCHIVE, BOOKS, "_default", source()))
    assert (store.objects, store.staged) == ({}, {})


def test_it_refuses_other_columns(store: MemoryStore) -> None:
    with pytest.raises(FormatError, match="columns"):
        write(store, notes("a"))


def test_it_refuses_nulls_where_none_may_be(store: MemoryStore) -> None:
    schema = notes("a").schema
    batch = pa.RecordBatch.from_arrays([pa.array(["a", None])], schema=schema)
    with pytest.raises(FormatError, match="'key' is not nullable"):
        list(write_parts(store, ARCHIVE, NOTES, "_default", [batch]))


def test_it_refuses_text_that_is_no_utf8(store: MemoryStore) -> None:
    text = pa.array([b"\xff"], pa.binary()).view(pa.string())
    batch = pa.RecordBatch.from_arrays([text], schema=notes("a").schema)
    with pytest.raises(FormatError, match="UTF8"):
        list(write_parts(store, ARCHIVE, NOTES, "_default", [batch]))


def test_it_refuses_an_unknown_partition(store: MemoryStore) -> None:
    with pytest.raises(FormatError, match="no partition 'other'"):
        list(write_parts(store, ARCHIVE, BOOKS, "other", []))


def test_sealing_again_with_the_same_content_succeeds(store: MemoryStore) -> None:
    manifest = manifest_of(write(store, books(0, 3)), BOOKS)
    assert seal(store, ARCHIVE, manifest) == seal(store, ARCHIVE, manifest)


def test_sealing_again_with_other_content_is_refused(store: MemoryStore) -> None:
    parts = write(store, books(0, 3), books(3, 3), part_bytes=EACH_BATCH)
    seal(store, ARCHIVE, manifest_of(parts, BOOKS))
    with pytest.raises(ObjectExists):
        seal(store, ARCHIVE, manifest_of(parts[:1], BOOKS))


def test_it_does_not_seal_what_lacks_a_part(store: MemoryStore) -> None:
    (part,) = write(store, books(0, 3))
    store.delete(f"{ARCHIVE}/{part.name}")
    with pytest.raises(StoreError, match=part.name):
        seal(store, ARCHIVE, manifest_of([part], BOOKS))


def test_it_does_not_seal_what_no_reader_takes(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(write(store, books(0, 3)), BOOKS)
    size = len(serialize(manifest))
    monkeypatch.setattr(writer, "MAX_MANIFEST_BYTES", size - 1)
    with pytest.raises(
        StoreError, match=f"would have {size} bytes, more than the allowed {size - 1}"
    ):
        seal(store, ARCHIVE, manifest)
    assert store.size(f"{ARCHIVE}/{MANIFEST_NAME}") is None


def test_the_largest_manifest_that_is_sealed_can_be_read(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(write(store, books(0, 3)), BOOKS)
    for module in (writer, reader):
        monkeypatch.setattr(module, "MAX_MANIFEST_BYTES", len(serialize(manifest)))
    seal(store, ARCHIVE, manifest)
    assert ArchiveReader(store, ARCHIVE).manifest == manifest


def test_deleting_takes_the_manifest_first(store: MemoryStore, manifest: Manifest) -> None:
    order: list[str] = []
    store.delete = order.append  # type: ignore[assignment,method-assign]
    delete_archive(store, ARCHIVE)
    assert order == [f"{ARCHIVE}/{MANIFEST_NAME}"]


def test_deleting_can_be_asked_again(store: MemoryStore, manifest: Manifest) -> None:
    delete_archive(store, ARCHIVE)
    delete_archive(store, ARCHIVE)
    assert store.objects == {}


def test_a_full_disk_leaves_the_sealed_parts_and_nothing_half(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    told = write(store, books(0, 10))
    with files_at_most(100_000), pytest.raises(StoreFull):
        write(store, books(10, 50_000), books(60_000, 10), sealed=told)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == [f"{part.sha256}.parquet" for part in told]


def attempt_that_is_killed(store: LocalStore, pipe: int) -> None:
    """Tells two parts, and dies while it writes the third."""

    def source() -> Iterator[pa.RecordBatch]:
        yield from [books(0, 10), books(10, 10), books(20, 5)]
        os.kill(os.getpid(), signal.SIGKILL)

    part_bytes = books(0, 10).nbytes
    for part in write_parts(store, ARCHIVE, BOOKS, "_default", source(), part_bytes=part_bytes):
        os.write(pipe, json.dumps(part.to_json()).encode() + b"\n")


def test_a_killed_attempt_leaves_no_backup_and_the_next_one_goes_on(tmp_path: Path) -> None:
    store, (reading, writing) = LocalStore(tmp_path), os.pipe()
    if not (child := os.fork()):
        attempt_that_is_killed(store, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        sealed = [Part.from_json(json.loads(line)) for line in told]
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert store.size(f"{ARCHIVE}/{MANIFEST_NAME}") is None
    go_on(store, sealed)
    assert (store.sweep(NOW), findings(store, ARCHIVE)) == (1, [])


def go_on(store: LocalStore, sealed: list[Part]) -> None:
    assert rows_sealed(sealed, "books", "_default") == 20
    rest = write(store, books(20, 10), sealed=sealed)
    seal(store, ARCHIVE, manifest_of([*sealed, *rest], BOOKS))
    found = ArchiveReader(store, ARCHIVE).rows_of("books", "_default")
    assert [key for batch in found for key in batch.column("id").to_pylist()] == list(range(30))


def test_no_file_is_larger_than_one_request_may_be(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [books(at, 10) for at in range(0, 50, 10)]
    monkeypatch.setattr(writer, "PART_BYTES", batches[0].nbytes * 2 + 100)
    assert [part.rows for part in write(store, *batches)] == [20, 20, 10]
