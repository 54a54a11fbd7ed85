"""Key ranges tile all keys of a partition, whatever the keys are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backups.archive.description import DataType, FieldDescription
from backups.milvus.ranges import FIRST_PAGE_ROWS, PageSize, ReadRange

NUMBER = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)
TEXT = FieldDescription(name="id", data_type=DataType.VARCHAR, is_primary_key=True)
WHOLE = ReadRange(number=0, partition="_default", after=None)
LEAST, GREATEST = -(2**63), 2**63 - 1


@given(st.sets(st.integers(LEAST, GREATEST), min_size=1), st.integers(1, 20))
def test_each_key_is_in_one_piece(numbers: set[int], page_rows: int) -> None:
    listed = sorted(numbers)
    pieces = list(WHOLE.split(listed, page_rows))
    found = [
        [n for n in listed if (piece.after is None or n > piece.after) and n <= piece.up_to]
        for piece in pieces
    ]
    assert [number for piece in found for number in piece] == listed
    assert all(0 < len(piece) <= page_rows for piece in found)


def test_a_piece_starts_after_the_key_that_ends_the_one_before() -> None:
    first, second = WHOLE.split([1, 2, 3, 4], 2)
    assert (first.after, first.up_to, second.after, second.up_to) == (None, 2, 2, 4)
    assert first.expression(NUMBER) == f"id <= {GREATEST} and id <= 2"
    assert second.expression(NUMBER) == "id > 2 and id <= 4"


def test_the_smallest_number_is_no_literal_because_servers_refuse_it() -> None:
    (piece,) = WHOLE.split([LEAST], 1)
    assert piece.expression(NUMBER) == f"id <= {GREATEST} and id < {LEAST + 1}"


def test_texts_are_escaped_at_both_ends() -> None:
    quoted = ReadRange(number=0, partition=None, after='"', up_to="\\")
    assert quoted.expression(TEXT) == r'id > "\"" and id <= "\\"'


def test_a_range_ends_with_its_last_key_or_with_an_empty_page() -> None:
    bounded = ReadRange(number=0, partition=None, after=1, up_to=9)
    assert bounded.rest([2, 9]) is None
    assert bounded.rest([]) is None
    assert bounded.rest([2, 3]) == ReadRange(number=0, partition=None, after=3, up_to=9)


def test_without_a_bound_a_range_ends_with_the_greatest_key_of_all() -> None:
    assert WHOLE.rest([GREATEST]) is None
    assert WHOLE.rest([5]) == ReadRange(number=0, partition="_default", after=5)


def test_a_page_gets_the_rows_that_fit_its_bytes() -> None:
    size = PageSize(page_bytes=1000, max_rows=10_000)
    size.measure(rows=100, answer_bytes=5000)
    assert size.rows == 20


def test_the_first_page_is_small_because_the_bytes_of_a_row_are_unknown() -> None:
    size = PageSize(page_bytes=10**9, max_rows=100_000)
    assert (size.rows, size.is_measured) == (FIRST_PAGE_ROWS, False)
    size.measure(rows=FIRST_PAGE_ROWS, answer_bytes=FIRST_PAGE_ROWS)
    assert (size.rows, size.is_measured) == (8 * FIRST_PAGE_ROWS, True)


def test_several_pages_of_one_size_that_are_too_large_reduce_it_once() -> None:
    size = PageSize(page_bytes=10**9, max_rows=4096)
    for _ in range(3):
        size.reduce(refused_rows=4096)
    size.measure(rows=2048, answer_bytes=1)
    assert size.rows == 2048
