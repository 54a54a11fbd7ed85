"""Export of an archive to files for Milvus' bulk import, with the schemas and a README."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from backups.archive.description import CollectionDescription
from backups.archive.importable import importable
from backups.archive.manifest import CollectionContent
from backups.archive.parts import Part
from backups.archive.reader import ArchiveReader

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,200}", re.ASCII)

README = """\
# Backup {backup_id}

Backup of database {database!r} at {captured_at} from Milvus {milvus_version}.

Each directory is a collection. It contains `schema.json` and a directory per partition with the
Parquet files for Milvus' bulk import.

1. Create the collection from `schema.json`, with its partitions. To keep the keys of this backup,
   which are in the files, turn `auto_id` off on the primary key.
2. Put a partition's files where the server can read them (its bucket) and import them into that
   partition, with `bulk_import(url, collection_name, files=..., partition_name=...)` of
   `pymilvus.bulk_writer`.
   If a field is a partition key, leave the partition's name out: Milvus finds it by the key.
3. Create the indexes and aliases that `schema.json` lists, and load the collection.

Columns that a function of the schema computes (BM25) are left out, because the server computes
them.
"""


class ExportRefused(Exception):
    """The export would overwrite files, or could not represent the backup."""


def export(reader: ArchiveReader, target: Path) -> Iterator[Path]:
    """Write all files and yield each path. The target must be empty or missing."""
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise ExportRefused(f"{target} is not empty. Choose a new directory.")
    for number, content in enumerate(reader.manifest.collections):
        directory = target / _directory_name(content.description.name, "collection", number)
        yield from _export_collection(reader, content, directory)
    capture = reader.manifest.capture
    yield _write(
        target / "README.md",
        README.format(
            backup_id=reader.manifest.backup_id,
            database=capture.database,
            captured_at=capture.captured_at,
            milvus_version=capture.milvus_version,
        ),
    )


def _export_collection(
    reader: ArchiveReader, content: CollectionContent, directory: Path
) -> Iterator[Path]:
    description = content.description
    for number, partition in enumerate(description.partitions):
        inside = directory / _directory_name(partition, "partition", number)
        inside.mkdir(parents=True)
        for part in content.parts_of(partition):
            yield _export_part(reader, description, part, inside / f"{part.number:06d}.parquet")
    schema = json.dumps(description.to_json(), indent=2, ensure_ascii=False)
    yield _write(directory / "schema.json", schema + "\n")


def _export_part(
    reader: ArchiveReader, description: CollectionDescription, part: Part, path: Path
) -> Path:
    writer: pq.ParquetWriter | None = None
    try:
        for batch in reader.batches(part):
            try:
                converted = importable(batch, description)
            except pa.ArrowInvalid as error:
                raise ExportRefused(
                    f"{description.name}: bulk import cannot represent a value: {error}"
                ) from error
            writer = writer or pq.ParquetWriter(path, converted.schema)
            writer.write_batch(converted)
    finally:
        if writer is not None:
            writer.close()
    return path


def _directory_name(name: str, kind: str, number: int) -> str:
    """Replace unsafe names, because names in an untrusted archive must not choose paths."""
    return name if _SAFE.fullmatch(name) else f"{kind}-{number}"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
