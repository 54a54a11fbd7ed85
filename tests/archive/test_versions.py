"""Archives of every format version that was ever written are read, verified and shown."""

from __future__ import annotations

import json
import subprocess
import sys

from backups.archive.manifest import FORMAT_VERSION
from backups.archive.reader import ArchiveReader
from backups.archive.verify import findings
from backups.stores.local import LocalStore
from tests.archive.conftest import VERSION_1, small_contents
from tests.archive.generated import all_values

OLD = LocalStore(VERSION_1)


def test_an_archive_of_version_1_is_sound() -> None:
    assert findings(OLD, "") == []


def test_its_rows_are_those_that_were_written() -> None:
    reader, (books, _) = ArchiveReader(OLD, ""), small_contents()
    for partition, batches in books.batches.items():
        read = list(reader.rows_of("books", partition))
        assert all_values(read) == all_values(batches)


def test_its_database_properties_are_unknown() -> None:
    manifest = ArchiveReader(OLD, "").manifest
    assert manifest.format_version == FORMAT_VERSION
    assert manifest.capture.database_properties is None


def test_its_hash_is_the_one_that_its_bytes_carry() -> None:
    carried = json.loads((VERSION_1 / "manifest.json").read_bytes())["sha256"]
    assert ArchiveReader(OLD, "").manifest_sha256 == carried


def test_the_command_reads_it_without_the_console() -> None:
    command = [sys.executable, "-m", "backups.archive", "verify", str(VERSION_1)]
    assert subprocess.run(command, capture_output=True).returncode == 0
