"""Rows out of an archive, none of which was not verified before."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from backups.archive.codec import FormatError
from backups.archive.columns import fingerprint
from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME, inside
from backups.archive.manifest import MAX_MANIFEST_BYTES, Manifest, manifest_sha256, parse
from backups.archive.parquet import KeyRange, batches_of, open_file
from backups.archive.parts import Part, sha256_of
from backups.stores.base import ObjectMissing, Store


class ArchiveReader:
    """An archive whose manifest is sound; its parts are verified as they are read."""

    def __init__(self, store: Store, archive: str) -> None:
        self.store, self.archive = store, archive
        self.manifest, self.manifest_sha256 = self._manifest()

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        """The part's rows in their order, after all of it was verified; one part is in memory."""
        with self.verified(part) as file:
            yield from batches_of(file)

    def rows_of(self, collection: str, partition: str) -> Iterator[pa.RecordBatch]:
        """A whole partition, part by part."""
        for part in self.manifest.collection(collection).parts_of(partition):
            yield from self.batches(part)

    def verified(self, part: Part) -> pq.ParquetFile:
        """The part, read once into memory, so that what was verified is what is read."""
        data = self._read(part.name, limit=part.bytes + 1)
        if len(data) != part.bytes:
            raise ArchiveDamaged(part.name, _size_problem(len(data), part.bytes))
        if sha256_of(data) != part.sha256:
            raise ArchiveDamaged(part.name, "its content does not match its SHA-256")
        try:
            file = open_file(data)
            _check_facts(file, part, self.manifest)
        except (pa.ArrowException, OSError, FormatError) as error:
            raise ArchiveDamaged(part.name, str(error)) from error
        return file

    def _manifest(self) -> tuple[Manifest, str]:
        """The manifest and the SHA-256 that its bytes carry."""
        data = self._read(MANIFEST_NAME, limit=MAX_MANIFEST_BYTES)
        try:
            return parse(data), manifest_sha256(data)
        except FormatError as error:
            raise ArchiveDamaged(MANIFEST_NAME, str(error)) from error

    def _read(self, name: str, *, limit: int) -> bytes:
        try:
            return self.store.read(inside(self.archive, name), limit=limit)
        except ObjectMissing as error:
            raise ArchiveDamaged(name, "it is missing") from error


def _size_problem(found: int, wanted: int) -> str:
    if found > wanted:
        return f"it is longer than its {wanted} bytes"
    return f"it has {found} of its {wanted} bytes"


def _check_facts(file: pq.ParquetFile, part: Part, manifest: Manifest) -> None:
    if fingerprint(file.schema_arrow) != part.schema:
        raise FormatError("its columns are not those that the manifest says")
    if file.metadata.num_rows != part.rows:
        raise FormatError(f"it has {file.metadata.num_rows} rows, the manifest says {part.rows}")
    key = manifest.collection(part.collection).description.primary_key.name
    found = KeyRange()
    for batch in batches_of(file, [key]):
        found.update(batch.column(key))
    if found.scalars() != (part.key_min, part.key_max):
        raise FormatError("its primary keys are not in the range that the manifest says")
