"""Collections and rows of every kind that a full Milvus has, for property tests.

Numbers are drawn as bits, so that every NaN, both zeros and both infinities come up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from backups.archive.columns import arrow_schema, arrow_type
from backups.archive.description import (
    BM25,
    CollectionDescription,
    DataType,
    FieldDescription,
    FunctionDescription,
    IndexDescription,
    LoadDescription,
    LoadStatus,
)
from backups.archive.scalars import Scalar

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
PARAMS = st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3)
VECTORS = [each for each in DataType if each.endswith("_VECTOR")]
ELEMENTS = [DataType.BOOL, DataType.INT8, DataType.INT64, DataType.FLOAT, DataType.VARCHAR]
INTEGERS = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    ANY_TEXT,
    st.binary(max_size=5),
).map(lambda value: Scalar(value=value))


@dataclasses.dataclass(frozen=True)
class Rows:
    """A collection, and the batches of each of its partitions."""

    description: CollectionDescription
    batches: dict[str, list[pa.RecordBatch]]

    @property
    def count(self) -> int:
        return sum(batch.num_rows for batches in self.batches.values() for batch in batches)


def bits(width: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)


@st.composite
def fields(draw: st.DrawFn, name: str, data_type: DataType) -> FieldDescription:
    is_vector = data_type in VECTORS
    return FieldDescription(
        name=name,
        data_type=data_type,
        nullable=draw(st.booleans()),
        default=None if is_vector else draw(st.none() | SCALARS),
        element_type=draw(st.sampled_from(ELEMENTS)) if data_type is DataType.ARRAY else None,
        params={**draw(PARAMS), "dim": draw(st.sampled_from(["8", "16"]))} if is_vector else {},
        description=draw(ANY_TEXT),
    )


@st.composite
def descriptions(draw: st.DrawFn) -> CollectionDescription:
    kinds = draw(st.lists(st.sampled_from(list(DataType)), max_size=6))
    count = len(kinds) + 3
    names = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    key_type = draw(st.sampled_from([DataType.INT64, DataType.VARCHAR]))
    key = FieldDescription(name=names[0], data_type=key_type, is_primary_key=True)
    others = [draw(fields(*each)) for each in zip(names[3:], kinds, strict=True)]
    functions = draw(st.just(()) | any_functions().map(lambda each: (each,)))
    if draw(st.booleans()):
        text, words = bm25_fields(*names[1:3])
        others += [text, words]
        functions = (*functions, bm25(text, words))
    return CollectionDescription(
        name=draw(NAMES),
        description=draw(ANY_TEXT),
        fields=tuple(draw(st.permutations([key, *others]))),
        functions=functions,
        enable_dynamic_field="$meta" not in names and draw(st.booleans()),
        partitions=tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))),
        num_partitions=draw(st.none() | st.integers(1, 1024)),
        aliases=tuple(draw(st.lists(NAMES, max_size=2))),
        indexes=tuple(draw(st.lists(indexes(), max_size=2))),
        properties=draw(PARAMS),
        load=draw(loads()),
        consistency_level=draw(st.none() | NAMES),
        shards=draw(st.none() | st.integers(1, 16)),
    )


def bm25_fields(text: str, words: str) -> tuple[FieldDescription, FieldDescription]:
    """The text field of a BM25 function and the field that the server computes."""
    return (
        FieldDescription(name=text, data_type=DataType.VARCHAR),
        FieldDescription(
            name=words, data_type=DataType.SPARSE_FLOAT_VECTOR, is_function_output=True
        ),
    )


def bm25(text: FieldDescription, words: FieldDescription) -> FunctionDescription:
    return FunctionDescription(
        name="bm25",
        type=BM25,
        input_field_names=(text.name,),
        output_field_names=(words.name,),
    )


def any_functions() -> st.SearchStrategy[FunctionDescription]:
    some = st.lists(NAMES, max_size=2).map(tuple)
    return st.builds(
        FunctionDescription,
        name=NAMES,
        type=NAMES,
        input_field_names=some,
        output_field_names=some,
        params=PARAMS,
        description=ANY_TEXT,
    )


def indexes() -> st.SearchStrategy[IndexDescription]:
    return st.builds(IndexDescription, field_name=NAMES, index_name=ANY_TEXT, params=PARAMS)


def loads() -> st.SearchStrategy[LoadDescription]:
    some = st.lists(NAMES, max_size=2).map(tuple)
    return st.builds(
        LoadDescription,
        status=st.sampled_from(LoadStatus),
        fields=some,
        partitions=some,
        replicas=st.none() | st.integers(0, 8),
    )


@st.composite
def rows(draw: st.DrawFn, most_rows: int = 6) -> Rows:
    description = draw(descriptions())
    return Rows(
        description,
        {
            partition: [
                batch_of(description, draw(columns_of(description, most_rows)))
                for _ in range(draw(st.integers(0, 3)))
            ]
            for partition in description.partitions
        },
    )


@st.composite
def columns_of(
    draw: st.DrawFn, description: CollectionDescription, most_rows: int
) -> list[list[Any]]:
    count = draw(st.integers(0, most_rows))
    drawn = []
    for field in description.columns:
        values = values_of(field)
        drawn.append(
            draw(
                st.lists(
                    st.none() | values if field.nullable else values,
                    min_size=count,
                    max_size=count,
                )
            )
        )
    return drawn


def values_of(field: FieldDescription) -> st.SearchStrategy[Any]:
    dim = int(field.params.get("dim", "0"))
    match field.data_type:
        case DataType.ARRAY:
            assert field.element_type is not None
            return st.lists(plain_values(field.element_type), max_size=4)
        case DataType.FLOAT_VECTOR:
            return st.lists(bits(32), min_size=dim, max_size=dim)
        case DataType.INT8_VECTOR:
            return st.lists(bits(8), min_size=dim, max_size=dim)
        case DataType.BINARY_VECTOR | DataType.FLOAT16_VECTOR | DataType.BFLOAT16_VECTOR:
            width = dim // 8 if field.data_type is DataType.BINARY_VECTOR else dim * 2
            return st.binary(min_size=width, max_size=width)
        case DataType.SPARSE_FLOAT_VECTOR:
            return st.binary(max_size=2).map(lambda some: some * 8)
        case other:
            return plain_values(other)


def plain_values(data_type: DataType) -> st.SearchStrategy[Any]:
    if data_type in INTEGERS:
        return bits(INTEGERS[data_type])
    match data_type:
        case DataType.BOOL:
            return st.booleans()
        case DataType.FLOAT:
            return bits(32)
        case DataType.DOUBLE | DataType.TIMESTAMPTZ:
            return bits(64)
        case DataType.JSON:
            return st.binary(max_size=12)
        case _:
            return ANY_TEXT


def batch_of(description: CollectionDescription, columns: list[list[Any]]) -> pa.RecordBatch:
    arrays = [
        array_of(arrow_type(field), values)
        for field, values in zip(description.columns, columns, strict=True)
    ]
    return pa.record_batch(arrays, schema=arrow_schema(description))


def array_of(type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """Floats and instants from their bits, everything else from itself."""
    if pa.types.is_fixed_size_list(type_):
        blank = [0] * type_.list_size
        flat = [each for row in values for each in (blank if row is None else row)]
        mask = pa.array([row is None for row in values], pa.bool_())
        elements = array_of(type_.value_type, flat)
        return pa.FixedSizeListArray.from_arrays(elements, type=type_, mask=mask)
    if pa.types.is_list(type_):
        return _lists(type_, values)
    if raw := raw_type(type_):
        return pa.array(values, raw).view(type_)
    return pa.array(values, type_)


def _lists(type_: pa.DataType, values: Sequence[Any]) -> pa.Array:
    offsets = np.cumsum([0, *(0 if row is None else len(row) for row in values)])
    elements = array_of(type_.value_type, [each for row in values for each in row or ()])
    mask = pa.array([row is None for row in values], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, type=type_, mask=mask)


def raw_type(type_: pa.DataType) -> pa.DataType | None:
    """The integers with the same bits."""
    if type_ == pa.float32():
        return pa.int32()
    if type_ == pa.float64() or pa.types.is_timestamp(type_):
        return pa.int64()
    return None


def values_in(column: pa.Array) -> list[Any]:
    """The inverse of `array_of`: what `==` compares bit by bit."""
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        return [values_in(row.values) if row.is_valid else None for row in column]
    if raw := raw_type(column.type):
        column = column.view(raw)
    return list(column.to_pylist())


def all_values(batches: Sequence[pa.RecordBatch]) -> list[tuple[Any, ...]]:
    """Row by row, whatever the batches."""
    found: list[tuple[Any, ...]] = []
    for batch in batches:
        found.extend(zip(*(values_in(column) for column in batch.columns), strict=True))
    return found
