"""Archives of every format version that was ever written are read, verified and shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backups.archive.manifest import FORMAT_VERSION
from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.stores.local import LocalStore
from tests.archive.conftest import CAPTURE, VERSION_1, VERSION_2, small_contents
from tests.archive.generated import all_values

pytestmark = pytest.mark.parametrize("archive", [VERSION_1, VERSION_2])


def test_an_old_archive_is_sound(archive: Path) -> None:
    assert findings(LocalStore(archive), "") == []


def test_its_rows_are_those_that_were_written(archive: Path) -> None:
    reader, (books, _) = ArchiveReader(LocalStore(archive), ""), small_contents()
    for partition, batches in books.batches.items():
        read = list(reader.rows_of("books", partition))
        assert all_values(read) == all_values(batches)


def test_members_of_later_versions_are_unknown(archive: Path) -> None:
    manifest = ArchiveReader(LocalStore(archive), "").manifest
    properties = CAPTURE.database_properties if archive == VERSION_2 else None
    assert manifest.format_version == FORMAT_VERSION
    assert manifest.capture.database_properties == properties
    assert manifest.access_control is None


def test_its_hash_is_the_one_that_its_bytes_carry(archive: Path) -> None:
    carried = json.loads((archive / "manifest.json").read_bytes())["sha256"]
    assert ArchiveReader(LocalStore(archive), "").manifest_sha256 == carried


def test_the_command_reads_it_without_the_console(archive: Path) -> None:
    command = [sys.executable, "-m", "backups.archive", "verify", str(archive)]
    assert subprocess.run(command, capture_output=True).returncode == 0
