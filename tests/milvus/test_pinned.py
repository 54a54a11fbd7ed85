"""Reading pinned files: what was deleted or replaced is gone, and a second attempt goes on."""

from __future__ import annotations

import pytest
from pymilvus import DataType

from backups.milvus.pinned import PinnedScan
from backups.milvus.scan import Scanned
from tests.milvus.rooms import Room, checksum, content, keys, row


@pytest.fixture
def worn(room: Room) -> str:
    """Rows in many files: replaced, deleted, deleted and written again, moved, and left alone."""
    name = room.make()
    room.tenant.create_partition(name, "other")
    for start in range(0, 50, 10):
        room.tenant.insert(name, [row(key, 1.0, note=key) for key in range(start, start + 10)])
        room.tenant.flush(name)
    room.tenant.upsert(name, [row(key, 2.0) for key in range(5, 15)])
    room.tenant.delete(name, ids=list(range(12, 22)))
    room.tenant.flush(name)
    room.tenant.insert(name, [row(20, 3.0)])
    room.tenant.upsert(name, [row(30, 4.0)], partition_name="other")
    return name


def test_only_the_newest_living_rows_are_read(room: Room, worn: str) -> None:
    scanned = room.pinned(worn)
    assert sorted(keys(scanned)) == [*range(12), 20, *range(22, 50)]
    found = {r["id"]: r["vector"][0] for s in scanned for r in s.batch.to_pylist()}
    assert [found[key] for key in (0, 7, 20, 30, 40)] == [1.0, 2.0, 3.0, 4.0, 1.0]


def test_a_row_that_moved_is_in_its_new_partition_only(room: Room, worn: str) -> None:
    places = {key: s.partition for s in room.pinned(worn) for key in keys([s])}
    assert places[30] == "other"
    assert places[31] == "_default"


def test_it_counts_before_it_reads(room: Room, worn: str) -> None:
    (scan,) = room.pin(worn)
    assert scan.rows() == len(keys(scan.batches())) == room.milvus.count(worn)


def test_what_changes_after_the_pin_is_not_seen(room: Room, worn: str) -> None:
    (scan,) = room.pin(worn)
    before = content(scan.batches())
    room.tenant.delete(worn, ids=[0, 1, 2])
    room.tenant.insert(worn, [row(1_000)])
    room.tenant.drop_collection(worn)
    assert content(scan.batches()) == before


def test_it_goes_on_after_every_cursor(room: Room, worn: str) -> None:
    (scan,) = room.pin(worn)
    scanned = list(scan.batches())
    for number, each in enumerate(scanned):
        assert content(scan.batches(after=each.cursor)) == content(scanned[number + 1 :])


def test_it_goes_on_in_the_middle_of_a_file(
    room: Room, worn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scan,) = room.pin(worn)
    whole = list(scan.batches())
    monkeypatch.setattr("backups.milvus.pinned._batch_rows", lambda metadata: 3)
    small = list(scan.batches())
    assert len(small) > len(whole)
    assert _glued(scan, small, 4) == content(whole)


def _glued(scan: PinnedScan, scanned: list[Scanned], cut: int) -> str:
    """The first batches of one attempt and what the next attempt reads after them."""
    rest = scan.batches(after=scanned[cut - 1].cursor)
    return checksum([*(each.batch for each in scanned[:cut]), *(each.batch for each in rest)])


def test_an_empty_collection_has_no_batches(room: Room) -> None:
    (scan,) = room.pin(room.make())
    assert scan.rows() == 0
    assert list(scan.batches()) == []


def test_a_collection_of_one_row_comes_back(room: Room) -> None:
    name = room.make(key=DataType.VARCHAR)
    room.tenant.insert(name, [row("", float("nan"))])
    (scan,) = room.pin(name)
    assert content(room.pinned(room.copy(scan))) == content(scan.batches())


def test_a_collection_whose_rows_are_all_deleted_has_none(room: Room) -> None:
    name = room.make()
    room.tenant.insert(name, [row(key) for key in range(5)])
    room.tenant.flush(name)
    room.tenant.delete(name, ids=list(range(5)))
    assert room.pinned(name) == []
