"""How much room a restore takes where its target stores rows, told before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from backups.archive.description import (
    CollectionDescription,
    DataType,
    FieldDescription,
    dimension_of,
)

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent

FACTOR = 4
"""Room over the bytes of the rows. Measured on the embedded engine with an HNSW index of M 16: its
files take 1.2 times the archive's, the index 1.8 times; a larger M and the merging of files take
more.
"""
LOG_BYTES = 256 * 1024 * 1024
"""What the engine's write-ahead log may grow to before it is flushed; it is not compressed."""
_BITS = {
    DataType.FLOAT_VECTOR: 32,
    DataType.FLOAT16_VECTOR: 16,
    DataType.BFLOAT16_VECTOR: 16,
    DataType.INT8_VECTOR: 8,
    DataType.BINARY_VECTOR: 1,
}
_UNITS = ("bytes", "KB", "MB", "GB", "TB")
"""Of 1024 each, as the pages show them."""


def required_bytes(contents: Iterable[CollectionContent]) -> int:
    """While it runs. What is replaced stays to the end, but it has its room already."""
    return FACTOR * sum(map(_row_bytes, contents)) + LOG_BYTES


def _row_bytes(content: CollectionContent) -> int:
    """An archive packs vectors that repeat themselves; an index holds every one as it is."""
    return max(content.bytes, content.rows * _vector_bytes(content.description))


def _vector_bytes(collection: CollectionDescription) -> int:
    return sum(_bits(field) // 8 for field in collection.columns)


def _bits(field: FieldDescription) -> int:
    width = _BITS.get(field.data_type, 0)
    return width * dimension_of(field) if width else 0


def in_words(count: int) -> str:
    """Such as `512 bytes`, `1.5 GB`."""
    power = min(len(_UNITS) - 1, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {_UNITS[power]}" if power else f"{count} bytes"
