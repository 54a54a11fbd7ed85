from __future__ import annotations

from collections.abc import Iterator

from backups.archive.damage import printable
from backups.archive.manifest import CollectionContent, Manifest

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BITS_OF_A_STEP = 10


def described(manifest: Manifest) -> Iterator[str]:
    capture, parts = manifest.capture, sum(1 for _ in manifest.parts)
    collections = _number_of(len(manifest.collections), "collection")
    yield f"Backup        {printable(manifest.backup_id)}"
    yield f"Organization  {printable(manifest.organization_id)}"
    yield f"Database      {printable(capture.database)}"
    yield f"Captured at   {capture.captured_at} ({printable(capture.method)})"
    yield f"Milvus        {printable(capture.milvus_version)}"
    yield f"Content       {collections}, {_size(manifest.rows, manifest.bytes, parts)}"
    if manifest.access_control is not None:
        yield f"Access        {manifest.access_control}"
    for name, value in sorted((capture.database_properties or {}).items()):
        yield f"Property      {printable(f'{name}={value}')}"
    for warning in capture.warnings:
        yield f"Warning       {printable(warning)}"
    for content in manifest.collections:
        yield from _collection_lines(content)


def _collection_lines(content: CollectionContent) -> Iterator[str]:
    yield ""
    description = content.description
    yield printable(description.name)
    yield f"  {_size(content.rows, content.bytes, len(content.parts))}"
    for partition in description.partitions:
        rows = sum(part.rows for part in content.parts_of(partition))
        yield f"  partition {printable(partition)}: {_number_of(rows, 'row')}"
        for part in content.parts_of(partition):
            size = f"{_number_of(part.rows, 'row')}, {_number_of(part.bytes, 'byte')}"
            yield f"    part {part.number}: {size}, SHA-256 {part.sha256}"
    for field in description.columns:
        mark = " (primary key)" if field.is_primary_key else ""
        yield f"  field {printable(field.name)}: {field.data_type}{mark}"
    for index in description.indexes:
        params = ", ".join(f"{name}={value}" for name, value in sorted(index.params.items()))
        yield f"  index on {printable(index.field_name)}: {printable(params)}"
    if description.aliases:
        yield f"  aliases {printable(', '.join(description.aliases))}"


def _size(rows: int, size: int, parts: int) -> str:
    rows_and_bytes = f"{_number_of(rows, 'row')}, {readable_bytes(size)}"
    return f"{rows_and_bytes} in {_number_of(parts, 'part')}"


def readable_bytes(size: int) -> str:
    step = min(max(size.bit_length() - 1, 0) // _BITS_OF_A_STEP, len(_UNITS) - 1)
    amount = size / (1 << (_BITS_OF_A_STEP * step))
    return f"{amount:.1f} {_UNITS[step]}" if step else f"{size} B"


def _number_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
