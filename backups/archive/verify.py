"""Verification of an archive: every file is checked and listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from backups.archive.checksum import RowChecksum
from backups.archive.damage import ArchiveDamaged, printable
from backups.archive.layout import MANIFEST_NAME
from backups.archive.parts import Part
from backups.archive.reader import ArchiveReader
from backups.stores.base import EntryKind, ReadableStore, StoreEntry

PARTS_DIRECTORY = "parts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a foreign archive. Its manifest is limited by the process that fetches it."""

    parts: int
    row_group_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileCheck:
    """Result for one file. The file is sound if `problem` is None."""

    file: str
    bytes: int
    problem: str | None = None

    def __str__(self) -> str:
        return f"{printable(self.file)}: {self.problem or 'sound'}"


def listed(store: ReadableStore, archive: str) -> dict[str, StoreEntry]:
    prefix = f"{archive}/" if archive else ""
    return {entry.key.removeprefix(prefix): entry for entry in store.list(archive)}


def check(
    store: ReadableStore,
    archive: str,
    entries: Mapping[str, StoreEntry] | None = None,
    *,
    limits: Limits | None = None,
) -> Iterator[FileCheck]:
    """Check the files one by one, including unreadable ones. The caller may stop after any file.

    `entries` is a previous result of `listed`. Files of the manifest come first, then foreign ones.
    Without a sound manifest all parts are listed as unknown. `limits` are those of a foreign
    archive.
    """
    unchecked = dict(listed(store, archive) if entries is None else entries)
    entry = unchecked.pop(MANIFEST_NAME, None)
    problem, reader = _not_an_object(entry), None
    if problem is None:
        try:
            reader = _reader(store, archive, limits)
        except ArchiveDamaged as damage:
            problem = damage.problem
    yield FileCheck(file=MANIFEST_NAME, bytes=_size_of(entry), problem=problem)
    if reader is not None:
        yield from _check_parts(reader, unchecked)
    for file, foreign in unchecked.items():
        # collections without rows leave an empty directory of parts
        if file != PARTS_DIRECTORY or foreign.kind is not EntryKind.EMPTY_DIRECTORY:
            kind = "file" if foreign.kind is EntryKind.OBJECT else str(foreign.kind)
            problem = (
                "it cannot be verified without the manifest"
                if reader is None
                else f"this {kind} does not belong to the archive"
            )
            yield FileCheck(file=file, bytes=foreign.size, problem=problem)


def _reader(store: ReadableStore, archive: str, limits: Limits | None) -> ArchiveReader:
    if limits is None:
        return ArchiveReader(store, archive)
    reader = ArchiveReader(store, archive, max_row_group_bytes=limits.row_group_bytes)
    parts = sum(1 for _ in reader.manifest.parts)
    if parts > limits.parts:
        problem = f"it lists {parts} parts, more than the allowed {limits.parts}"
        raise ArchiveDamaged(MANIFEST_NAME, problem)
    return reader


def findings(store: ReadableStore, archive: str) -> list[FileCheck]:
    return [result for result in check(store, archive) if result.problem]


def _check_parts(reader: ArchiveReader, unchecked: dict[str, StoreEntry]) -> Iterator[FileCheck]:
    """Check each file once, for all parts that share it. Removes the files from `unchecked`."""
    parts_by_file: dict[str, list[Part]] = {}
    for part in reader.manifest.parts:
        parts_by_file.setdefault(part.name, []).append(part)
    for file, parts in parts_by_file.items():
        entry = unchecked.pop(file, None)
        problem = _not_an_object(entry)
        if problem is None:
            problem = next(filter(None, (_problem_of(reader, part) for part in parts)), None)
        yield FileCheck(file=file, bytes=_size_of(entry), problem=problem)


def _problem_of(reader: ArchiveReader, part: Part) -> str | None:
    """Check the row checksum, too, which readers do not check."""
    checksum = RowChecksum()
    try:
        for batch in reader.batches(part):
            checksum.update(batch)
    except ArchiveDamaged as damage:
        return damage.problem
    if checksum.digest() != part.row_checksum:
        return "its rows do not match their checksum in the manifest"
    return None


def _size_of(entry: StoreEntry | None) -> int:
    return 0 if entry is None else entry.size


def _not_an_object(entry: StoreEntry | None) -> str | None:
    if entry is None:
        return "it is missing"
    return None if entry.kind is EntryKind.OBJECT else f"it is a {entry.kind}, not a file"
