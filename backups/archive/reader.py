"""Read rows from an archive. Every part is verified before its rows are returned."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from backups.archive.codec import FormatError
from backups.archive.columns import fingerprint
from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME, inside
from backups.archive.manifest import MAX_MANIFEST_BYTES, Manifest, manifest_sha256, parse
from backups.archive.parquet import KeyRange, batches_of, check_row_groups, open_file
from backups.archive.parts import Part, sha256_of
from backups.stores.base import ObjectMissing, ReadableStore


class ArchiveReader:
    """An archive with a sound manifest. Parts are verified when they are read."""

    def __init__(
        self, store: ReadableStore, archive: str, *, max_row_group_bytes: int | None = None
    ) -> None:
        """`max_row_group_bytes` limits decompressed row groups, for foreign archives."""
        self.store, self.archive = store, archive
        self.max_row_group_bytes = max_row_group_bytes
        self.manifest_data = data = self._read(MANIFEST_NAME, limit=MAX_MANIFEST_BYTES)
        try:
            self.manifest, self.manifest_sha256 = parse(data), manifest_sha256(data)
        except FormatError as error:
            raise ArchiveDamaged(MANIFEST_NAME, str(error)) from error

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        with self.verified(part) as file:
            yield from batches_of(file)

    def rows_of(self, collection: str, partition: str) -> Iterator[pa.RecordBatch]:
        for part in self.manifest.collection(collection).parts_of(partition):
            yield from self.batches(part)

    def verified(self, part: Part) -> pq.ParquetFile:
        """Read a part into memory once, so that the verified bytes are the bytes that are read."""
        data = self._read(part.name, limit=part.bytes + 1)
        if len(data) != part.bytes:
            problem = (
                f"it is longer than its {part.bytes} bytes"
                if len(data) > part.bytes
                else f"it has {len(data)} of its {part.bytes} bytes"
            )
            raise ArchiveDamaged(part.name, problem)
        if sha256_of(data) != part.sha256:
            raise ArchiveDamaged(part.name, "its content does not match its SHA-256")
        try:
            file = open_file(data)
            if self.max_row_group_bytes is not None:
                check_row_groups(file, self.max_row_group_bytes)
            _check_metadata(file, part, self.manifest)
        except (pa.ArrowException, OSError, FormatError) as error:
            raise ArchiveDamaged(part.name, str(error)) from error
        return file

    def _read(self, name: str, *, limit: int) -> bytes:
        try:
            return self.store.read(inside(self.archive, name), limit=limit)
        except ObjectMissing as error:
            raise ArchiveDamaged(name, "it is missing") from error


def _check_metadata(file: pq.ParquetFile, part: Part, manifest: Manifest) -> None:
    if fingerprint(file.schema_arrow) != part.schema:
        raise FormatError("its columns differ from those in the manifest")
    if file.metadata.num_rows != part.rows:
        raise FormatError(f"it has {file.metadata.num_rows} rows; the manifest lists {part.rows}")
    key = manifest.collection(part.collection).description.primary_key.name
    key_range = KeyRange()
    for batch in batches_of(file, [key]):
        key_range.update(batch.column(key))
    if key_range.scalars() != (part.key_min, part.key_max):
        raise FormatError("its range of primary keys differs from that in the manifest")
