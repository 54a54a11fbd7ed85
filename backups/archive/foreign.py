"""Inspection of a foreign archive: a confined process verifies what this one fetches and copies.

`python -m backups.archive.foreign DESCRIPTORS` is the confined process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import backups
from backups.archive.confinement import confine
from backups.archive.damage import printable
from backups.archive.fetching import FetchedStore, Fetcher, ReaderBroken, start_reader
from backups.archive.layout import MANIFEST_NAME
from backups.stores.base import EntryKind, ObjectMissing, ReadableStore, StoreEntry, StoreError

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_PARTS = 1_000_000
MAX_ROW_GROUP_BYTES = 1024 * 1024 * 1024
READER_BYTES = 2 * MAX_ROW_GROUP_BYTES
"""Private memory of the confined process: a row group, decompressed and decoded."""
SILENCE_SECONDS = 300.0
"""A confined process that asks for nothing for so long is ended."""
MAX_NAMED_FINDINGS = 10

_ROOT = Path(backups.__path__[0]).resolve().parent
_PART = re.compile(r"parts/([0-9a-f]{64})\.parquet", re.ASCII)


class ImportRefused(Exception):
    """The archive must not be imported. The message names the reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundFile:
    """A file that the confined process found sound, as it was fetched."""

    name: str
    data: bytes


def inspect(
    store: ReadableStore, use: Callable[[SoundFile], None], *, unconfined: bool = False
) -> None:
    """Verify the archive at the root of `store`, and pass each sound file to `use`: the manifest
    first, then the parts. Memory holds the manifest and one part.

    Raises ImportRefused for an archive that is damaged, exceeds a limit or contains foreign files,
    and StoreError if a file cannot be fetched. `use` may have seen files before that.
    """
    inspection = _Inspection(use, unconfined=unconfined)
    fetcher = Fetcher(
        _Errors(store, inspection),
        on_read=inspection.read,
        on_list=inspection.listed,
        on_report=inspection.reported,
    )
    with (
        contextlib.suppress(BrokenPipeError),  # the process has ended
        _confined_process(inspection) as (requests, answers),
    ):
        fetcher.serve(requests, answers)
    inspection.require_done()


class _Errors:
    """The store, whose first error is kept: the confined process could report it as damage."""

    def __init__(self, store: ReadableStore, inspection: _Inspection) -> None:
        self._store, self._inspection = store, inspection

    def read(self, key: str, *, limit: int) -> bytes:
        with self._noted():
            return self._store.read(key, limit=limit)

    def list(self, prefix: str) -> Iterator[StoreEntry]:
        with self._noted():
            yield from self._store.list(prefix)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self._inspection.note_error(error)
            raise


class _Inspection:
    """State of an inspection in the parent. Reports are believed only about damage."""

    def __init__(self, use: Callable[[SoundFile], None], *, unconfined: bool) -> None:
        self.use, self.unconfined = use, unconfined
        self.files = 0
        self.last: SoundFile | None = None
        self.error: StoreError | None = None
        self.findings: list[str] = []
        self.is_done = False
        self.was_alive = threading.Event()

    def note_error(self, error: StoreError) -> None:
        if self.error is None and not isinstance(error, ObjectMissing):
            self.error = error

    def listed(self, entry: StoreEntry) -> None:
        self.was_alive.set()
        self.files += 1
        if self.files > MAX_PARTS + 1:
            raise ImportRefused(f"The archive has more than {MAX_PARTS} parts.")
        if entry.kind is not EntryKind.OBJECT:
            raise ImportRefused(f"{printable(entry.key)} is a {entry.kind}, not a file.")

    def read(self, key: str, data: bytes) -> None:
        self.was_alive.set()
        if key == MANIFEST_NAME and len(data) > MAX_MANIFEST_BYTES:
            raise ImportRefused(f"The manifest has more than {MAX_MANIFEST_BYTES} bytes.")
        self.last = SoundFile(name=key, data=data)

    def reported(self, facts: object) -> None:
        self.was_alive.set()
        match facts:
            case {"confinement": str(problem)}:
                self._require_confined(problem)
            case {"file": str(name), "problem": None}:
                self._pass_on(name)
            case {"file": str(name), "problem": str(problem)}:
                if len(self.findings) < MAX_NAMED_FINDINGS:
                    self.findings.append(f"{printable(name)[:200]}: {printable(problem)[:500]}")
            case {"done": True}:
                self.is_done = True
            case _:
                raise ReaderBroken("The reader of the archive sent an unknown report.")

    def _require_confined(self, problem: str) -> None:
        if problem and not self.unconfined:
            raise ImportRefused(
                f"This machine cannot confine the process that reads the archive: {problem} "
                "Import on a machine with Linux 5.19 or newer, or pass --unconfined if you trust "
                "the archive."
            )

    def _pass_on(self, name: str) -> None:
        """Compare the file's name with its content, because the process may report anything."""
        if self.last is None or self.last.name != name:
            raise ReaderBroken(f"{printable(name)} was reported without being read.")
        part = _PART.fullmatch(name)
        is_own_hash = part and hashlib.sha256(self.last.data).hexdigest() == part.group(1)
        if name != MANIFEST_NAME and not is_own_hash:
            raise ReaderBroken(f"{printable(name)} is no part, or its content is another one's.")
        if not self.findings:
            self.use(self.last)

    def require_done(self) -> None:
        if self.error is not None:
            raise self.error
        if self.findings:
            raise ImportRefused("The archive is not whole: " + "; ".join(self.findings))
        if not self.is_done:
            raise ImportRefused(
                "The process that read the archive ended early: it needed more memory than "
                f"{READER_BYTES} bytes, or more time than allowed."
            )


@contextlib.contextmanager
def _confined_process(inspection: _Inspection) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Start the process, and end it at the end or after SILENCE_SECONDS without a request."""
    process, requests, answers = start_reader(
        "backups.archive.foreign",
        [],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(process, inspection.was_alive, ended))
    watch.start()
    try:
        with requests, answers:
            yield requests, answers
    finally:
        ended.set()
        inspection.was_alive.set()
        process.kill()
        process.wait()
        watch.join()


def _watch(
    process: subprocess.Popen[bytes], was_alive: threading.Event, ended: threading.Event
) -> None:
    while not ended.is_set():
        if not was_alive.wait(SILENCE_SECONDS):
            process.send_signal(signal.SIGKILL)
            return
        was_alive.clear()


# -- the confined process -------------------------------------------------------------------------


def main(descriptors: str) -> None:
    store = FetchedStore.of(descriptors)
    store.report(confinement=confine(None, None, data_bytes=READER_BYTES))
    from backups.archive.verify import Limits, check

    limits = Limits(parts=MAX_PARTS, row_group_bytes=MAX_ROW_GROUP_BYTES)
    for checked in check(store, "", limits=limits):
        store.report(file=checked.file, problem=checked.problem)
    store.report(done=True)


if __name__ == "__main__":
    main(sys.argv[1])
