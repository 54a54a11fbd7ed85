"""Archive as one tar, in pieces of bounded size.

The manifest is the last file, so that a tar that was cut contains no backup. Every part is compared
with the manifest while it is sent; the end of a part that differs is never sent.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Generator
from datetime import datetime

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME, inside
from backups.archive.parts import Part
from backups.archive.reader import ArchiveReader
from backups.stores.base import ObjectMissing, Store

PIECE_BYTES = 1024 * 1024
END = bytes(2 * tarfile.BLOCKSIZE)


class ArchiveTar:
    def __init__(self, store: Store, reader: ArchiveReader, directory: str) -> None:
        """`directory` contains the files of the archive in the tar."""
        self._store, self._reader, self._directory = store, reader, directory
        self._mtime = int(datetime.fromisoformat(reader.manifest.capture.captured_at).timestamp())
        self._parts = list({part.name: part for part in reader.manifest.parts}.values())

    @property
    def size(self) -> int:
        files = [(part.name, part.bytes) for part in self._parts]
        files.append((MANIFEST_NAME, len(self._reader.manifest_data)))
        return len(END) + sum(
            len(self._header(name, count)) + count + _padding(count) for name, count in files
        )

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield the tar. Raises ArchiveDamaged before the last bytes of a part that differs."""
        for part in self._parts:
            yield self._header(part.name, part.bytes)
            yield from self._content(part)
            yield bytes(_padding(part.bytes))
        data = self._reader.manifest_data
        yield self._header(MANIFEST_NAME, len(data))
        yield data
        yield bytes(_padding(len(data))) + END

    def _content(self, part: Part) -> Generator[bytes, None, None]:
        digest, count, held = hashlib.sha256(), 0, b""
        try:
            stream = self._store.open(inside(self._reader.archive, part.name))
        except ObjectMissing as error:
            raise ArchiveDamaged(part.name, "it is missing") from error
        with stream:
            while piece := stream.read(PIECE_BYTES):
                count += len(piece)
                if count > part.bytes:
                    raise ArchiveDamaged(part.name, f"it is longer than its {part.bytes} bytes")
                digest.update(piece)
                if held:
                    yield held
                held = piece
        if (count, digest.hexdigest()) != (part.bytes, part.sha256):
            raise ArchiveDamaged(part.name, "its content does not match its SHA-256")
        yield held

    def _header(self, name: str, size: int) -> bytes:
        entry = tarfile.TarInfo(f"{self._directory}/{name}")
        entry.size, entry.mtime, entry.mode = size, self._mtime, 0o600
        return entry.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> int:
    return -size % tarfile.BLOCKSIZE
