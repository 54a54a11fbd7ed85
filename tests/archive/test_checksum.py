"""Equal rows have equal checksums, whatever their order; other rows have others."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backups.archive.checksum import RowChecksum
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from tests.archive.conftest import books, notes
from tests.archive.generated import all_values, batch_of, columns_of, descriptions

quickly = settings(deadline=None, max_examples=80)


def digest(*batches: pa.RecordBatch) -> str:
    return RowChecksum.of(batches).digest()


@st.composite
def two_batches(draw: st.DrawFn) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    description = draw(descriptions())
    drawn = [draw(columns_of(description, 3)) for _ in range(2)]
    first, second = (batch_of(description, columns) for columns in drawn)
    return first, second


@quickly
@given(two_batches(), st.data())
def test_order_and_splitting_do_not_matter(
    pair: tuple[pa.RecordBatch, pa.RecordBatch], data: st.DataObject
) -> None:
    whole = pa.Table.from_batches(pair).combine_chunks()
    cuts = sorted(data.draw(st.lists(st.integers(0, whole.num_rows), max_size=3)))
    pieces = [whole.slice(a, b - a) for a, b in pairwise([0, *cuts, whole.num_rows])]
    batches = [batch for piece in reversed(pieces) for batch in piece.to_batches()]
    assert digest(*batches) == digest(*pair)


@quickly
@given(two_batches())
def test_other_rows_have_another_checksum(pair: tuple[pa.RecordBatch, pa.RecordBatch]) -> None:
    first, second = (sorted(map(repr, all_values([batch]))) for batch in pair)
    assume(first != second)
    assert digest(pair[0]) != digest(pair[1])


def test_no_rows_sum_up_to_zero() -> None:
    assert digest() == digest(books(0, 0)) == "0" * 64


def test_a_row_twice_does_not_cancel_itself() -> None:
    assert len({digest(*[books(0, 1)] * count) for count in range(5)}) == 5


def test_checksums_combine() -> None:
    combined = RowChecksum.of([books(0, 5)])
    combined.combine(RowChecksum.of([books(5, 4)]))
    combined.combine(digest(books(9, 1)))
    assert (combined.digest(), combined.rows) == (digest(books(0, 10)), 9)


def test_the_order_of_columns_does_not_matter() -> None:
    batch = books(0, 5)
    assert digest(batch.select(sorted(batch.schema.names))) == digest(batch)


def test_it_can_look_at_some_columns_only() -> None:
    batch = books(0, 5)
    some = RowChecksum.of([batch], columns=["id", "title"])
    assert some.digest() == digest(batch.select(["title", "id"]))


def test_it_misses_a_column_aloud() -> None:
    with pytest.raises(KeyError, match="vector"):
        RowChecksum(["vector"]).update(notes("a"))


def test_bytes_cannot_move_from_one_column_to_the_next() -> None:
    left, right = (pa.array(each) for each in (["ab"], [""]))
    assert digest(pa.record_batch([left, right], names=["a", "b"])) != digest(
        pa.record_batch([right, left], names=["a", "b"])
    )


def test_a_null_is_no_empty_string_and_no_zero() -> None:
    for empty in [
        pa.array([""]),
        pa.array([0]),
        pa.array([False]),
        pa.array([[]], pa.list_(pa.int8())),
    ]:
        null = pa.nulls(1, empty.type)
        assert digest(_alone(empty)) != digest(_alone(null))


def _alone(column: pa.Array) -> pa.RecordBatch:
    return pa.record_batch([column], names=["a"])


def test_what_lies_under_a_null_is_not_content() -> None:
    mask = pa.array([True, False])
    under = [
        pa.FixedSizeListArray.from_arrays(pa.array(values, pa.float32()), 2, mask=mask)
        for values in ([1, 2, 3, 4], [8, 9, 3, 4])
    ]
    assert digest(_alone(under[0])) == digest(_alone(under[1]))


def test_wide_rows_are_summed_in_slices_as_narrow_ones_are() -> None:
    vector = FieldDescription(
        name="vector", data_type=DataType.FLOAT_VECTOR, params={"dim": "32768"}
    )
    wide = CollectionDescription(name="wide", fields=(vector,))
    values = np.arange(40 * 32768).reshape(40, -1).tolist()
    batch = batch_of(wide, [values])
    assert digest(batch) == digest(*(batch.slice(at, 1) for at in range(40)))
