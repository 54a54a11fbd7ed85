"""The rules for names inside Milvus."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from milvus_lite.constants import DATA_FILE_TEMPLATE, SEQ_FORMAT_WIDTH
from milvus_lite.index.files import index_sidecar_path

from clusters.milvus_names import (
    MAX_BYTES,
    MAX_FIELD_BYTES,
    MAX_INDEX_TYPE_BYTES,
    MAX_NAME_BYTES,
    Kind,
    refusal_of_any_server,
    refusal_of_new,
    refusal_of_use,
    shortened,
    shown,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
PATH_LIKE = st.text(st.sampled_from("./\\\0a~é"), max_size=12)
NAMES = ANY_TEXT | PATH_LIKE
KINDS = st.sampled_from(list(Kind))
OF_FILES = st.sampled_from([k for k in Kind if k not in (Kind.INDEX_TYPE, Kind.SNAPSHOT)])


@given(KINDS, NAMES)
@example(Kind.PARTITION, "..")
@example(Kind.PARTITION, "\ud800")
def test_an_accepted_name_is_one_file_of_its_directory(kind: Kind, name: str) -> None:
    for refusal in (refusal_of_new, refusal_of_use):
        if name and not refusal(kind, name):
            path = os.path.normpath(os.path.join("/base", name))
            assert os.path.split(path) == ("/base", name)
            assert len(os.fsencode(name)) <= MAX_NAME_BYTES
            assert "\0" not in name


@given(KINDS, NAMES)
def test_what_may_be_given_may_be_used_and_is_right_on_some_server(kind: Kind, name: str) -> None:
    if not refusal_of_new(kind, name):
        assert not refusal_of_use(kind, name)
        assert not refusal_of_any_server(kind, name)


@given(KINDS, NAMES)
def test_a_given_name_holds_no_control_character(kind: Kind, name: str) -> None:
    if any(unicodedata.category(each) == "Cc" for each in name):
        assert refusal_of_new(kind, name)


@given(KINDS, NAMES)
def test_a_refusal_is_one_printable_line_with_the_kind_and_a_remedy(kind: Kind, name: str) -> None:
    for refusal in (refusal_of_new, refusal_of_use, refusal_of_any_server):
        if text := refusal(kind, name):
            assert text.isprintable()
            assert kind in text
            assert text.endswith("Choose another name.")
            assert len(text) < 1000


@given(OF_FILES, st.text(st.sampled_from("aZ09_-. #日本é😀"), min_size=1, max_size=40))
def test_other_names_are_legal_whatever_their_script(kind: Kind, name: str) -> None:
    is_plain = name.isascii() and name == name.strip()
    if name not in (".", "..") and (kind is not Kind.DATABASE or is_plain):
        assert not refusal_of_new(kind, name)


@given(st.text(max_size=300), st.integers(-5, 300))
def test_a_shortened_name_fits_and_begins_the_same(name: str, most: int) -> None:
    cut = shortened(name, most)
    assert name.startswith(cut)
    assert len(cut.encode()) <= max(most, 0)


def test_the_longest_index_file_has_exactly_the_longest_name() -> None:
    data = DATA_FILE_TEMPLATE.format(min=2**63 - 1, max=2**63 - 1, w=SEQ_FORMAT_WIDTH)
    field, index_type = "f" * MAX_FIELD_BYTES, "T" * MAX_INDEX_TYPE_BYTES
    longest = index_sidecar_path("", f"data/{data}", field, index_type, scalar=True)
    assert len(Path(longest).name) == MAX_NAME_BYTES


@pytest.mark.parametrize("kind", list(Kind))
def test_the_longest_name_is_the_last_that_is_taken(kind: Kind) -> None:
    most = MAX_BYTES.get(kind, MAX_NAME_BYTES)
    assert not refusal_of_new(kind, "n" * most)
    assert f"the limit is {most}" in refusal_of_new(kind, "n" * (most + 1))


def test_a_long_name_is_counted_in_bytes() -> None:
    assert not refusal_of_new(Kind.COLLECTION, "日" * 85)
    assert "has 258 bytes" in refusal_of_new(Kind.COLLECTION, "日" * 86)


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (Kind.PARTITION, "../../etc", "the name contains '/'"),
        (Kind.PARTITION, "..", "the name means a directory"),
        (Kind.PARTITION, "_all", "the engine uses this name for all partitions"),
        (Kind.COLLECTION, "a\\b", r"the name contains '\\'"),
        (Kind.COLLECTION, "a\x00b", r"the name contains '\x00'"),
        (Kind.ALIAS, "a\nb", "the name contains a control character"),
        (Kind.FIELD, "", "the name is empty"),
        (Kind.FIELD, "\ud800", "the name is not valid UTF-8"),
        (Kind.DATABASE, "日本", "printable ASCII"),
        (Kind.DATABASE, " db", "a space at either end"),
        (Kind.INDEX_TYPE, "../HNSW", "the name contains '/'"),
        (Kind.INDEX_TYPE, "HN.SW", "only letters, digits and '_'"),
        (Kind.SNAPSHOT, ".hidden", "the first must not be '.'"),
    ],
)
def test_a_refusal_says_why(kind: Kind, name: str, reason: str) -> None:
    assert reason in refusal_of_new(kind, name)


def test_a_control_character_of_an_older_version_stays_usable_and_a_path_does_not() -> None:
    assert not refusal_of_use(Kind.COLLECTION, "a\nb")
    assert refusal_of_use(Kind.COLLECTION, "a/b")


def test_a_name_is_shown_in_one_line() -> None:
    assert shown("a\nb\u202e") == r"'a\nb\u202e'"
    assert shown("x" * 100) == f"'{'x' * 80}…'"
