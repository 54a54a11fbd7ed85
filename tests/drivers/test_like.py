"""A pattern takes time in proportion to the text, and matches what it always did."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from pymilvus import DataType

from clusters.drivers.embedded.server.like import expression_for
from tests.drivers.launched import DIMENSION, Launched, row

TIMEOUT_SECONDS = 60


def words(letters: str, longest: int) -> list[str]:
    lengths = range(longest + 1)
    return ["".join(word) for n in lengths for word in itertools.product(letters, repeat=n)]


def meant(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)


def test_it_matches_what_the_pattern_means() -> None:
    texts = words("ab", 6)
    for pattern in words("ab%_", 5):
        matched = [text for text in texts if expression_for(pattern).match(text)]
        assert matched == [text for text in texts if meant(pattern).fullmatch(text)], pattern


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("a.c", "a.c"), ("a%", "a\nb"), ("100*%", "100*2"), ("%", ""), ("_", "\n")],
)
def test_characters_of_expressions_and_lines_are_plain(pattern: str, text: str) -> None:
    assert expression_for(pattern).match(text)


def test_no_pattern_keeps_a_cluster_busy(tmp_path: Path) -> None:
    launched = Launched(tmp_path / "data").start()
    try:
        client = launched.client()
        schema = client.create_schema(enable_dynamic_field=True)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        client.create_collection("c", schema=schema)
        client.insert("c", [row(1, word="a" * 200)])
        params = client.prepare_index_params()
        params.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_index("c", params)
        client.load_collection("c")
        filter_ = f'word like "{"%a" * 25}b"'
        assert client.query("c", filter=filter_, timeout=TIMEOUT_SECONDS) == []
        assert launched.health()["ready"]
    finally:
        launched.close()
