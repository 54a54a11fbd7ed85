"""Verification of an archive: every file is checked and listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from backups.archive.checksum import RowChecksum
from backups.archive.damage import ArchiveDamaged, printable
from backups.archive.layout import MANIFEST_NAME
from backups.archive.parts import Part
from backups.archive.reader import ArchiveReader
from backups.stores.base import EntryKind, Store, StoreEntry

PARTS_DIRECTORY = "parts"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileCheck:
    """Result for one file. The file is sound if `problem` is None."""

    file: str
    bytes: int
    problem: str | None = None

    def __str__(self) -> str:
        return f"{printable(self.file)}: {self.problem or 'sound'}"


def listed(store: Store, archive: str) -> dict[str, StoreEntry]:
    """List the entries of the archive by their names inside."""
    return {_inside(entry.key, archive): entry for entry in store.list(archive)}


def check(
    store: Store, archive: str, lying: Mapping[str, StoreEntry] | None = None
) -> Iterator[FileCheck]:
    """Check the files one by one, including unreadable ones. The caller may stop after any file.

    `lying` is a previous result of `listed`, with the sizes to read. Files of the manifest come
    first, then foreign ones. Without a sound manifest all parts are listed as unknown.
    """
    entries = dict(listed(store, archive) if lying is None else lying)
    manifest, reader = _check_manifest(store, archive, entries.pop(MANIFEST_NAME, None))
    yield manifest
    if reader is not None:
        for file, sharing in _parts_by_file(reader).items():
            yield _check_file(reader, file, sharing, entries.pop(file, None))
    for file, entry in entries.items():
        if not _is_harmless(file, entry):
            yield FileCheck(file=file, bytes=entry.size, problem=_foreign(entry, known=reader))


def findings(store: Store, archive: str) -> list[FileCheck]:
    """Return the files with a problem, none for a sound archive."""
    return [result for result in check(store, archive) if result.problem]


def _check_manifest(
    store: Store, archive: str, entry: StoreEntry | None
) -> tuple[FileCheck, ArchiveReader | None]:
    problem, reader = _not_an_object(entry), None
    if problem is None:
        try:
            reader = ArchiveReader(store, archive)
        except ArchiveDamaged as damage:
            problem = damage.problem
    return FileCheck(file=MANIFEST_NAME, bytes=_size_of(entry), problem=problem), reader


def _parts_by_file(reader: ArchiveReader) -> dict[str, list[Part]]:
    files: dict[str, list[Part]] = {}
    for part in reader.manifest.parts:
        files.setdefault(part.name, []).append(part)
    return files


def _check_file(
    reader: ArchiveReader, file: str, sharing: list[Part], entry: StoreEntry | None
) -> FileCheck:
    problem = _not_an_object(entry)
    if problem is None:
        problem = next(filter(None, (_problem_of(reader, part) for part in sharing)), None)
    return FileCheck(file=file, bytes=_size_of(entry), problem=problem)


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


def _is_harmless(file: str, entry: StoreEntry) -> bool:
    """Accept an empty directory of parts, because empty collections have no parts."""
    return file == PARTS_DIRECTORY and entry.kind is EntryKind.EMPTY_DIRECTORY


def _foreign(entry: StoreEntry, *, known: ArchiveReader | None) -> str:
    if known is None:
        return "it cannot be verified without the manifest"
    kind = "file" if entry.kind is EntryKind.OBJECT else str(entry.kind)
    return f"this {kind} does not belong to the archive"


def _inside(key: str, archive: str) -> str:
    return key.removeprefix(f"{archive}/") if archive else key
