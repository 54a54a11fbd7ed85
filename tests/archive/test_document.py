"""docs/archive-format.md is enough to read an archive by."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from backups.archive.description import DataType
from backups.stores.local import LocalStore
from tests.archive import document
from tests.archive.conftest import ARCHIVE, VERSION_1, VERSION_2, small_contents, write_archive
from tests.archive.generated import Rows, all_values, rows

PAGE = Path(__file__).parents[2] / "docs" / "archive-format.md"


def tables_of(archive: Path, collection: dict[str, Any]) -> list[Any]:
    return [document.read_part(archive, part) for part in collection["parts"]]


def read(archive: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every collection's rows, each part checked as the document says."""
    found = {}
    for collection in document.read_manifest(archive)["collections"]:
        tables = tables_of(archive, collection)
        assert document.row_checksum(tables) == collection["row_checksum"]
        assert document.column_types(collection["description"]) == collection["schema"]
        batches = [batch for table in tables for batch in table.to_batches()]
        found[collection["description"]["name"]] = all_values(batches)
    return found


def test_a_stranger_reads_the_rows(directory: Path) -> None:
    found = read(directory)
    assert [row[0] for row in found["books"]] == [*range(9), 100, 101, 102]
    assert len(found["notes"]) == 4


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(rows(most_rows=4))
def test_a_stranger_reads_every_type(tmp_path_factory: Any, written: Rows) -> None:
    directory = tmp_path_factory.mktemp("store")
    write_archive(LocalStore(directory), [written])
    wanted = [
        row
        for partition in sorted(written.batches)
        for row in all_values(written.batches[partition])
    ]
    assert read(directory / ARCHIVE)[written.description.name] == wanted


@pytest.mark.parametrize("archive", [VERSION_1, VERSION_2])
def test_a_stranger_reads_an_archive_of_an_old_version(archive: Path) -> None:
    assert len(read(archive)["books"]) == 12


def test_the_worked_example_is_the_manifest_that_we_write(tmp_path: Path) -> None:
    """Its part's hash depends on the release of the Parquet library, so the names are compared."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    write_archive(LocalStore(tmp_path), small_contents()[1:])
    written = json.loads((tmp_path / ARCHIVE / "manifest.json").read_text())
    assert shape(json.loads(example)) == shape(written)


def shape(value: Any) -> Any:
    """Without what depends on how Parquet is compressed."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items() if name not in VARYING}
    return [shape(inner) for inner in value] if isinstance(value, list) else value


VARYING = {"sha256", "bytes"}


def test_the_document_names_every_type() -> None:
    text = PAGE.read_text()
    assert [each for each in DataType if f"`{each}`" not in text] == []


def test_the_document_names_every_member_of_the_manifest(directory: Path) -> None:
    text = PAGE.read_text()
    names = members(json.loads((directory / "manifest.json").read_text()))
    assert sorted(name for name in names if f"`{name}`" not in text) == []


def members(value: Any) -> set[str]:
    """But not the names inside of maps, which are Milvus' own, and of scalars."""
    if isinstance(value, list):
        return set().union(*map(members, value))
    if not isinstance(value, dict):
        return set()
    inner = [members(each) for name, each in value.items() if name not in OPAQUE]
    return set(value).union(*inner)


OPAQUE = {"params", "properties", "database_properties", "default", "key_min", "key_max"}
