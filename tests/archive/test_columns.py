"""Each field has one Arrow type, and the fingerprint tells any two schemas apart."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pytest

from backups.archive.codec import FormatError
from backups.archive.columns import arrow_field, arrow_schema, fingerprint
from backups.archive.description import (
    DYNAMIC_FIELD,
    CollectionDescription,
    DataType,
    FieldDescription,
)
from tests.archive.conftest import BOOKS


def vector(data_type: DataType, dim: str) -> FieldDescription:
    return FieldDescription(name="v", data_type=data_type, params={"dim": dim})


def test_columns_are_named_as_the_fields_in_their_order() -> None:
    assert arrow_schema(BOOKS).names == ["id", "vector", "title", "$meta"]


def test_the_dynamic_field_is_not_added_where_it_is_listed() -> None:
    listed = dataclasses.replace(BOOKS, fields=(DYNAMIC_FIELD, *BOOKS.fields))
    assert arrow_schema(listed).names == ["$meta", "id", "vector", "title"]


def test_a_column_is_nullable_if_its_field_is() -> None:
    assert [field.nullable for field in arrow_schema(BOOKS)] == [False, False, True, True]


@pytest.mark.parametrize("dim", ["", "0", "-1", "8.0", "٨", "x"])
def test_a_vector_needs_a_dimension(dim: str) -> None:
    with pytest.raises(FormatError, match="'v' has no usable dim"):
        arrow_field(vector(DataType.FLOAT_VECTOR, dim))


def test_the_dimension_of_a_binary_vector_is_whole_bytes() -> None:
    with pytest.raises(FormatError, match="multiple of 8"):
        arrow_field(vector(DataType.BINARY_VECTOR, "12"))


@pytest.mark.parametrize("element", [None, DataType.ARRAY, DataType.FLOAT_VECTOR])
def test_an_array_needs_an_element_that_it_can_hold(element: DataType | None) -> None:
    array = FieldDescription(name="a", data_type=DataType.ARRAY, element_type=element)
    with pytest.raises(FormatError, match="'a' is an ARRAY of"):
        arrow_field(array)


def test_no_two_types_share_a_fingerprint() -> None:
    kinds = [
        FieldDescription(name="v", data_type=each, params={"dim": "8"}, element_type=DataType.INT8)
        for each in DataType
    ]
    schemas = {arrow_schema(CollectionDescription(name="c", fields=(kind,))) for kind in kinds}
    assert len({fingerprint(schema) for schema in schemas}) == len(schemas)


def test_nullability_and_dimension_are_in_the_fingerprint() -> None:
    prints = {
        fingerprint(pa.schema([arrow_field(vector(DataType.FLOAT_VECTOR, dim))]))
        for dim in ["8", "16"]
    }
    nullable = dataclasses.replace(vector(DataType.FLOAT_VECTOR, "8"), nullable=True)
    assert len({*prints, fingerprint(pa.schema([arrow_field(nullable)]))}) == 3
