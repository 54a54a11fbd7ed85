"""Paging over the wire ends, and gives each row once, whatever its key is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymilvus import DataType

from backups.archive.description import DataType as ArchiveType
from backups.archive.description import FieldDescription
from backups.milvus.client import Client
from backups.milvus.errors import TooLarge
from backups.milvus.keys import after, every, is_last, literal
from backups.milvus.wire import WireScan
from tests.milvus.generated import NASTY
from tests.milvus.rooms import Room, content, keys, row

NUMBER = FieldDescription(name="id", data_type=ArchiveType.INT64, is_primary_key=True)
LEAST, MOST = -(2**63), 2**63 - 1

many_texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), unique=True, max_size=30)
many_numbers = st.lists(
    st.sampled_from([LEAST, LEAST + 1, -1, 0, 1, MOST - 1, MOST]) | st.integers(LEAST, MOST),
    unique=True,
    max_size=30,
)


@given(wanted=many_texts)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_every_text_key_is_read_once_in_pages_of_two(room: Room, wanted: list[str]) -> None:
    assert _paged(room, DataType.VARCHAR, wanted) == sorted(wanted)


@given(wanted=many_numbers)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_every_number_key_is_read_once_in_pages_of_two(room: Room, wanted: list[int]) -> None:
    assert _paged(room, DataType.INT64, wanted) == sorted(wanted)


def _paged(room: Room, key: DataType, wanted: list[int] | list[str]) -> list[int | str]:
    name = room.make(key=key)
    if wanted:
        room.tenant.insert(name, [row(each) for each in wanted])
    return keys(room.wire(name, max_bytes=300))


def test_it_goes_on_after_any_key(room: Room) -> None:
    name = room.make(key=DataType.VARCHAR)
    room.tenant.insert(name, [row(each) for each in NASTY])
    for number, each in enumerate(scanned := room.wire(name, max_bytes=2)):
        scan = _scan(room, name)
        rest = list(scan.batches(after=each.cursor))
        assert content(rest) == content(scanned[number + 1 :])


def test_pages_shrink_until_the_server_can_send_them(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = room.make()
    room.tenant.insert(name, [row(number) for number in range(20)])
    original = Client.begin

    def begin(self: Client, method: str, request: Any, **options: Any) -> Callable[[], Any]:
        pages = [pair.value for pair in getattr(request, "query_params", ()) if pair.key == "limit"]
        too_large = method == "Query" and int(pages[0]) > 6
        return _too_large if too_large else original(self, method, request, **options)

    monkeypatch.setattr(Client, "begin", begin)
    assert keys(room.wire(name)) == list(range(20))


def _too_large() -> Any:
    raise TooLarge("too large", permanent=False)


def _scan(room: Room, name: str) -> WireScan:
    return WireScan(room.milvus, room.describe(name), max_bytes=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", '""'), ('a"b', r'"a\"b"'), ("\\", r'"\\"'), ("\n\r", r'"\n\r"'), ("'", '"\'"')],
)
def test_a_literal_escapes_what_would_end_or_change_it(text: str, expected: str) -> None:
    assert literal(text) == expected


def test_the_least_number_is_never_written_out() -> None:
    assert after(NUMBER, LEAST) == f"id >= {LEAST + 1}"
    assert str(LEAST) not in every(NUMBER)


def test_nothing_comes_after_the_greatest_number() -> None:
    assert is_last(MOST)
    assert not is_last(MOST - 1)
    assert not is_last("~")
