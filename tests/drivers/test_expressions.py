"""Filters of SDKs, as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from milvus_lite.search.filter.tokens import TokenKind, tokenize
from pymilvus.grpc_gen import schema_pb2

from clusters.drivers.embedded.server.expressions import (
    NoSuchValue,
    quoted,
    with_quoted_cursor,
    with_values,
)

TEXTS = st.text(st.one_of(st.sampled_from("\"'\\\n\r) (and"), st.characters(codec="utf-8")))


def read(expression: str) -> str:
    """The first text in it, as the engine reads it."""
    return next(str(t.value) for t in tokenize(expression) if t.kind is TokenKind.STRING)


@given(TEXTS)
def test_the_engine_reads_a_quoted_text_as_it_was(text: str) -> None:
    assert read(quoted(text)) == text


@given(TEXTS, st.sampled_from(["", 'name == "a" and (b > 1)']))
def test_a_cursor_is_the_key_that_the_sdk_sent(key: str, condition: str) -> None:
    behind = f" and ({condition})" if condition else ""
    prepared = with_quoted_cursor(f'pk > "{key}"{behind}', "pk", lambda text: text == key)
    assert read(prepared) == key
    assert prepared.endswith(behind)


@pytest.mark.parametrize("expression", ["", "pk > 5", 'other > "a"', 'pk > "unknown"'])
def test_what_is_no_cursor_stays(expression: str) -> None:
    assert with_quoted_cursor(expression, "pk", lambda text: False) == expression


@given(TEXTS)
def test_a_value_is_put_in_as_a_literal(text: str) -> None:
    values = {"name": schema_pb2.TemplateValue(string_val=text)}
    filled = with_values("'{name}' == title or title == {name}", values)
    assert filled == f"'{{name}}' == title or title == {quoted(text)}"


def test_values_of_each_kind_are_literals() -> None:
    numbers = schema_pb2.TemplateArrayValue(long_data=schema_pb2.LongArray(data=[1, 2]))
    values = {
        "yes": schema_pb2.TemplateValue(bool_val=True),
        "whole": schema_pb2.TemplateValue(int64_val=7),
        "part": schema_pb2.TemplateValue(float_val=0.5),
        "list": schema_pb2.TemplateValue(array_val=numbers),
    }
    filled = with_values("a == {yes} and b > {whole} and c < {part} and d in { list }", values)
    assert filled == "a == true and b > 7 and c < 0.5 and d in [1, 2]"


def test_a_placeholder_without_a_value_is_named() -> None:
    with pytest.raises(NoSuchValue, match="missing"):
        with_values("a == {missing}", {})
