"""A foreign archive may be anything. Reading it costs bounded memory, and reaches nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups.archive import foreign
from backups.archive.fetching import Fetcher, ReaderBroken
from backups.archive.foreign import ImportRefused, SoundFile, inspect
from backups.archive.layout import MANIFEST_NAME
from backups.archive.manifest import Manifest, serialize
from backups.archive.parts import part_name, sha256_of
from backups.stores.base import EntryKind, StoreEntry
from backups.stores.memory import MemoryStore
from tests.archive.conftest import ARCHIVE, small_contents, write_archive


@pytest.fixture
def archive() -> MemoryStore:
    """An archive at the root of its store."""
    written, root = MemoryStore(), MemoryStore()
    write_archive(written, small_contents())
    root.objects = {key.removeprefix(f"{ARCHIVE}/"): data for key, data in written.objects.items()}
    return root


def seen_in(store: MemoryStore) -> list[SoundFile]:
    seen: list[SoundFile] = []
    inspect(store, seen.append)
    return seen


def test_every_file_of_a_sound_archive_is_passed_on(archive: MemoryStore) -> None:
    seen = seen_in(archive)
    assert seen[0].name == MANIFEST_NAME
    assert {file.name: file.data for file in seen} == archive.objects


# bombs


def bombed(archive: MemoryStore, data: bytes) -> MemoryStore:
    """The first part replaced by `data`, and a manifest that says so in all its places."""
    manifest = json.loads(archive.objects[MANIFEST_NAME])
    part = manifest["collections"][0]["parts"][0]
    del archive.objects[part_name(part["sha256"])]
    size = len(data) - part["bytes"]
    part["sha256"], part["bytes"] = sha256_of(data), len(data)
    manifest["collections"][0]["bytes"] += size
    manifest["bytes"] += size
    del manifest["sha256"]
    archive.objects[part_name(sha256_of(data))] = data
    archive.objects[MANIFEST_NAME] = serialize(Manifest.from_json(manifest))
    return archive


def test_a_row_group_that_would_fill_the_memory_is_refused(
    archive: MemoryStore, tmp_path: Path
) -> None:
    """A few megabytes of Zstandard become more than a gigabyte."""
    batch = pa.record_batch({"id": range(1000), "title": ["x" * 4096] * 1000})
    table = pa.Table.from_batches([batch] * 280)  # they share their memory
    pq.write_table(
        table, tmp_path / "bomb", compression="zstd", use_dictionary=False, row_group_size=10**9
    )
    data = (tmp_path / "bomb").read_bytes()
    assert len(data) < 10 * 2**20
    with pytest.raises(ImportRefused, match="more than the allowed"):
        seen_in(bombed(archive, data))


def test_a_manifest_that_is_too_large_is_refused_after_its_limit(archive: MemoryStore) -> None:
    archive.objects[MANIFEST_NAME] = b" " * (foreign.MAX_MANIFEST_BYTES + 2)
    with pytest.raises(ImportRefused, match="The manifest has more than"):
        seen_in(archive)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b"[" + b"[]," * 3_000_000 + b"[]]",
        b'{"x":"' + b"\\u0000" * 5_000_000 + b'"}',
        b"1" * 10_000_000,
    ],
    ids=["deep lists", "deep objects", "many lists", "long text", "long number"],
)
def test_a_manifest_that_costs_much_is_refused(archive: MemoryStore, data: bytes) -> None:
    archive.objects[MANIFEST_NAME] = data
    with pytest.raises(ImportRefused):
        seen_in(archive)


def test_more_parts_than_allowed_are_refused(
    archive: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "MAX_PARTS", 3)
    with pytest.raises(ImportRefused, match="more than 3 parts"):
        seen_in(archive)


def test_this_process_needs_little_memory_for_a_huge_archive() -> None:
    """A listing without end, and files of the size that they announce."""
    program = """
import re
from backups.archive import foreign
from backups.archive.foreign import ImportRefused, inspect
from backups.stores.base import StoreEntry

foreign.MAX_PARTS = 100_000

class Endless:
    def read(self, key, *, limit):
        return b"{" * limit
    def list(self, prefix):
        for number in range(10**9):
            yield StoreEntry(key=f"parts/{number:064x}.parquet", size=1)

try:
    inspect(Endless(), print)
except ImportRefused as refused:
    print(refused)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    reason, kilobytes = done.stdout.splitlines()
    assert "more than 100000 parts" in reason
    assert int(kilobytes) < 200_000


# a reader process that the archive has taken over


class TakenOver:
    """A store that is never asked, because the requests are the test's."""

    def read(self, key: str, *, limit: int) -> bytes:
        return b"x" * min(limit, 10)

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        yield StoreEntry(key="a", size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.text(max_size=10),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(
                            ["read", "limit", "list", "report", "file", "problem", "done"]
                        ),
                        inner,
                        max_size=4,
                    )
                ),
                max_leaves=6,
            ).map(lambda value: json.dumps(value).encode()),
        ),
        max_size=5,
    )
)
def test_no_request_does_more_than_read_or_end_the_import(lines: list[bytes]) -> None:
    used: list[SoundFile] = []
    inspection = foreign._Inspection(used.append, unconfined=False)
    fetcher = Fetcher(
        TakenOver(),
        on_read=inspection.read,
        on_list=inspection.listed,
        on_report=inspection.reported,
    )
    asked, ask = os.pipe()
    with os.fdopen(ask, "wb") as requests:
        requests.write(b"".join(line.replace(b"\n", b"") + b"\n" for line in lines))
    with os.fdopen(asked, "rb") as requests, Path(os.devnull).open("wb") as answers:
        try:
            fetcher.serve(requests, answers)
        except (ReaderBroken, ImportRefused):
            return
    assert used == []


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        ({"file": "parts/x", "problem": None}, "without being read"),
        ({"file": "../../etc/passwd", "problem": None}, "without being read"),
        ({"anything": 1}, "unknown report"),
        ("text", "unknown report"),
    ],
)
def test_a_report_is_not_believed(report: object, problem: str) -> None:
    inspection = foreign._Inspection(lambda file: None, unconfined=False)
    with pytest.raises(ReaderBroken, match=problem):
        inspection.reported(report)


def test_a_part_must_have_the_hash_of_its_name() -> None:
    inspection = foreign._Inspection(lambda file: None, unconfined=False)
    inspection.read(part_name("0" * 64), b"other")
    with pytest.raises(ReaderBroken, match="another one's"):
        inspection.reported({"file": part_name("0" * 64), "problem": None})


@pytest.mark.parametrize("kind", [EntryKind.LINK, EntryKind.SPECIAL, EntryKind.EMPTY_DIRECTORY])
def test_what_is_no_file_is_refused(kind: EntryKind) -> None:
    inspection = foreign._Inspection(lambda file: None, unconfined=False)
    with pytest.raises(ImportRefused, match=str(kind)):
        inspection.listed(StoreEntry(key="parts/x", size=0, kind=kind))


def test_a_process_that_does_nothing_is_ended(
    archive: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended while it waits for an answer that does not come."""
    monkeypatch.setattr(foreign, "SILENCE_SECONDS", 0.5)
    read = archive.read

    def slow(key: str, *, limit: int) -> bytes:
        data = read(key, limit=limit)
        silent.wait(5)
        return data

    silent = threading.Event()
    monkeypatch.setattr(archive, "read", slow)
    with pytest.raises(ImportRefused, match="ended early"):
        seen_in(archive)
