"""Differences of a call: bounded values that every database stores unchanged."""

from __future__ import annotations

import pytest

from vbase_console.organizations.differences import note, noting, take


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("\\u0000", "\\u0000"),
        ("x\\u0000n", "x\\u0000n"),
        ("a\x00b", "ab"),
        ({"a\x00": ["\x00", "\\u0000"]}, {"a": ["", "\\u0000"]}),
    ],
    ids=repr,
)
def test_only_nul_characters_are_removed(value: object, stored: object) -> None:
    with noting():
        note({"labels": value}, {"labels": None})
        note({"description": None}, {"description": value})
        assert take() == {"labels": [stored, None], "description": [None, stored]}
