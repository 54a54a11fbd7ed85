"""Several pages at once, each over a connection of its own, in the order of keys."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from pymilvus import DataType

from backups.milvus import decode, wire
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.milvus.scan import Scanned
from backups.milvus.schema import describe
from backups.milvus.wire import WireScan
from tests.drivers.launched import CONTROL, Launched
from tests.milvus.front import Front, reads
from tests.milvus.generated import NASTY
from tests.milvus.rooms import Room, content, endpoint, keys, row

CONNECTIONS = 3
ROWS = 200
PAGE_ROWS = 10


@pytest.fixture
def front(cluster: Launched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    for most in ("FIRST_PAGE_ROWS", "_MAX_ROWS"):
        monkeypatch.setattr(wire, most, PAGE_ROWS)
    with Front(f"127.0.0.1:{cluster.port}") as front:
        yield front


@pytest.fixture
def several(front: Front) -> Iterator[Client]:
    with Client(endpoint(front.port, CONTROL), connections=CONNECTIONS) as client:
        yield client


@pytest.fixture
def filled(room: Room) -> str:
    name = room.make()
    room.tenant.insert(name, [row(number, number / 3) for number in range(ROWS)])
    return name


def scan(client: Client, name: str, **options: Any) -> Generator[Scanned, None, None]:
    found = WireScan(client, describe(client, name), **options).batches()
    assert isinstance(found, Generator)
    return found


def test_rows_come_in_the_order_of_keys(several: Client, filled: str) -> None:
    assert keys(scan(several, filled)) == list(range(ROWS))


def test_each_row_is_asked_for_once(several: Client, filled: str, front: Front) -> None:
    list(scan(several, filled))
    asked = [query.expr for query in front.queries if reads(query)]
    assert len(asked) == len(set(asked)) == ROWS // PAGE_ROWS + 1


def test_as_many_pages_wait_as_there_are_connections(
    several: Client, filled: str, front: Front
) -> None:
    front.gate.close()
    scanned = scan(several, filled)
    first = next(scanned)
    front.gate.wait_for(lambda gate: gate.waiting == CONNECTIONS)
    front.gate.open()
    assert keys([first, *scanned]) == list(range(ROWS))
    assert front.gate.most_waiting == CONNECTIONS


def test_each_connection_is_one_of_its_own(several: Client, filled: str, front: Front) -> None:
    list(scan(several, filled))
    assert len(front.peers) == CONNECTIONS


def test_a_scan_that_ends_early_cancels_its_pages(
    several: Client, filled: str, front: Front
) -> None:
    front.gate.close()
    scanned = scan(several, filled)
    next(scanned)
    front.gate.wait_for(lambda gate: gate.waiting == CONNECTIONS)
    scanned.close()
    front.gate.wait_for(lambda gate: gate.cancelled == CONNECTIONS)
    front.gate.open()


def test_a_page_that_fails_ends_the_scan_after_the_pages_before_it(
    several: Client, filled: str, front: Front
) -> None:
    front.broken = f"id > {3 * PAGE_ROWS - 1} and id <= {4 * PAGE_ROWS - 1}"
    scanned = scan(several, filled)
    assert keys(next(scanned) for _ in range(3)) == list(range(3 * PAGE_ROWS))
    with pytest.raises(MilvusError, match="broken page"):
        next(scanned)


def test_a_cursor_leads_to_the_same_rows_with_any_number_of_connections(
    several: Client, filled: str, front: Front
) -> None:
    scanned = list(scan(several, filled))
    with Client(endpoint(front.port, CONTROL)) as one:
        rest = scan_after(one, filled, scanned[4].cursor)
    assert rest == scan_after(several, filled, scanned[4].cursor) == content(scanned[5:])


def scan_after(client: Client, name: str, cursor: str) -> str:
    return content(WireScan(client, describe(client, name)).batches(after=cursor))


def test_rows_of_every_partition_come_once(several: Client, room: Room) -> None:
    name = room.make()
    for partition in ("a", "b", "c"):
        room.tenant.create_partition(name, partition)
    for number, partition in enumerate(("_default", "a", "c")):
        rows = [row(number * 1000 + n) for n in range(35)]
        room.tenant.insert(name, rows, partition_name=partition)
    scanned = list(scan(several, name))
    assert sorted(keys(scanned)) == [number * 1000 + n for number in range(3) for n in range(35)]
    assert {each.partition for each in scanned} == {"_default", "a", "c"}


def test_texts_of_every_kind_are_bounds(several: Client, room: Room) -> None:
    name = room.make(key=DataType.VARCHAR)
    texts = sorted({*NASTY, *(f"{text}{n}" for text in NASTY for n in range(9))})
    room.tenant.insert(name, [row(text) for text in texts if len(text.encode()) <= 100])
    found = keys(scan(several, name))
    assert sorted(found) == [text for text in texts if len(text.encode()) <= 100]


def test_rows_that_come_between_the_keys_and_the_page_are_read_without_a_timestamp(
    several: Client, room: Room, front: Front
) -> None:
    name = room.make()
    room.tenant.insert(name, [row(number * 100) for number in range(ROWS)])
    front.gate.close()
    scanned = scan(several, name)
    first = next(scanned)
    front.gate.wait_for(lambda gate: gate.waiting == CONNECTIONS)
    late = [PAGE_ROWS * 100 + number for number in range(1, 60)]
    room.tenant.insert(name, [row(number) for number in late])
    front.gate.open()
    found = keys([first, *scanned])
    assert set(late) <= set(found)
    assert len(found) == len(set(found)) == ROWS + len(late)


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_rows_out_of_order_fail_because_others_could_be_missing(
    connections: int, filled: str, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "keys_of", lambda *each: decode.keys_of(*each)[::-1])
    with (
        Client(endpoint(front.port, CONTROL), connections=connections) as client,
        pytest.raises(MilvusError, match="not in the order"),
    ):
        list(scan(client, filled))


def test_few_rows_are_read_without_listing_their_keys(
    several: Client, room: Room, front: Front
) -> None:
    name = room.make()
    room.tenant.insert(name, [row(number) for number in range(PAGE_ROWS)])
    front.forget()
    assert len(keys(scan(several, name))) == PAGE_ROWS
    assert [list(each.output_fields) for each in front.queries if not reads(each)] == [["count(*)"]]
