"""`python -m backups.archive` works on a directory, and on nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from backups.archive.__main__ import main

ROOT = Path(__file__).parents[2]
NOT_NEEDED = "django|pymilvus|milvus_lite|grpc|celery|sqlite3|psycopg|clusters|vbase_console"


def test_verify_says_that_a_sound_archive_is_sound(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (main(["verify", str(directory)]), capsys.readouterr().out) == (
        0,
        f"{directory}: sound\n",
    )


def test_verify_names_the_damaged_file(
    directory: Path,
    part_files: Callable[[], list[Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = part_files()[0]
    damaged.write_bytes(damaged.read_bytes() + b"\0")
    assert main(["verify", str(directory)]) == 1
    assert capsys.readouterr().out.startswith(f"parts/{damaged.name}: it is longer")


@pytest.mark.parametrize("command", ["verify", "show", "export"])
def test_a_directory_without_a_manifest_is_no_archive(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "nothing")]) == 1
    assert capsys.readouterr().out == "manifest.json: it is missing\n"


def test_show_tells_what_is_in_it(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(directory)]) == 0
    shown = capsys.readouterr().out
    assert "2 collections, 16 rows" in shown
    assert "partition old: 3 rows" in shown
    assert "field vector: FLOAT_VECTOR" in shown


def test_show_tells_rows_bytes_and_hash_of_every_part(
    directory: Path, part_files: Callable[[], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(directory)]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if "part " in line]
    for path in part_files():
        (line,) = (line for line in shown if path.stem in line)
        assert f"{path.stat().st_size:,} bytes, SHA-256 {path.stem}" in line
    assert "    part 1: 4 rows, " in shown[1]


def test_export_writes_a_directory_for_each_collection_and_partition(
    directory: Path, tmp_path: Path
) -> None:
    assert main(["export", str(directory), "--to", str(tmp_path / "out")]) == 0
    found = [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")]
    assert sorted(found) == [
        "README.md",
        "books/_default/000000.parquet",
        "books/_default/000001.parquet",
        "books/old/000000.parquet",
        "books/schema.json",
        "notes/_default/000000.parquet",
        "notes/schema.json",
    ]
    assert json.loads((tmp_path / "out/notes/schema.json").read_text())["name"] == "notes"
    assert pq.read_table(tmp_path / "out/books/old/000000.parquet").num_rows == 3


def test_export_writes_over_nothing(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(directory), "--to", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_export_does_not_write_into_the_archive(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(directory), "--to", str(directory / "out")]) == 2
    assert main(["verify", str(directory)]) == 0


def test_export_writes_no_damaged_part(
    directory: Path, tmp_path: Path, part_files: Callable[[], list[Path]]
) -> None:
    for part in part_files():
        part.write_bytes(b"")
    assert main(["export", str(directory), "--to", str(tmp_path / "out")]) == 1
    assert list((tmp_path / "out").rglob("*.parquet")) == []


WITHOUT = """
import re, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if re.fullmatch(sys.argv[1], name.partition(".")[0]):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Missing())
"""
COMMAND = "from backups.archive.__main__ import main; sys.exit(main(sys.argv[2:]))"
STRANGER = """
import pathlib
from tests.archive import document
archive = pathlib.Path(sys.argv[2])
for each in document.read_manifest(archive)["collections"]:
    tables = [document.read_part(archive, part) for part in each["parts"]]
    assert document.row_checksum(tables) == each["row_checksum"]
    print(each["description"]["name"], sum(table.num_rows for table in tables))
"""


def without(missing: str, code: str, *arguments: str) -> str:
    """Return the output of a process in which these packages cannot be imported."""
    command = [sys.executable, "-c", WITHOUT + code, missing, *arguments]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("command", ["verify", "show", "export"])
def test_it_needs_neither_django_nor_a_database_nor_milvus(
    command: str, directory: Path, tmp_path: Path
) -> None:
    more = ["--to", str(tmp_path / "out")] if command == "export" else []
    assert without(NOT_NEEDED, COMMAND, command, str(directory), *more)


def test_a_stranger_reads_it_with_nothing_of_ours(directory: Path) -> None:
    """By docs/archive-format.md alone: json, hashlib and pyarrow."""
    assert without(f"{NOT_NEEDED}|backups", STRANGER, str(directory)) == "books 12\nnotes 4\n"
