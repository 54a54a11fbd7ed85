"""Estimate of the disk space that a restore needs on its target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from backups.archive.description import DataType, dimension_of

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent

FACTOR = 4
"""Disk space per byte of rows. Measured on the embedded engine with an HNSW index of M 16: its
files take 1.2 times the archive's size, the index 1.8 times. A larger M and compaction take more.
"""
LOG_BYTES = 256 * 1024 * 1024
"""Maximum size of the engine's uncompressed write-ahead log before it is flushed."""
_BITS = {
    DataType.FLOAT_VECTOR: 32,
    DataType.FLOAT16_VECTOR: 16,
    DataType.BFLOAT16_VECTOR: 16,
    DataType.INT8_VECTOR: 8,
    DataType.BINARY_VECTOR: 1,
}
_UNITS = ("bytes", "KB", "MB", "GB", "TB")
"""Units of 1024, as in the pages."""


def required_bytes(contents: Iterable[CollectionContent]) -> int:
    """Estimate the temporary disk space. Replaced collections do not count, because their space is
    already in use.
    """
    return FACTOR * sum(map(_row_bytes, contents)) + LOG_BYTES


def _row_bytes(content: CollectionContent) -> int:
    """Count vectors uncompressed if that is larger, because an index does not compress them."""
    vectors = (field for field in content.description.columns if field.data_type in _BITS)
    vector_bytes = sum(_BITS[field.data_type] * dimension_of(field) // 8 for field in vectors)
    return max(content.bytes, content.rows * vector_bytes)


def in_words(count: int) -> str:
    """Format a size such as `512 bytes` or `1.5 GB`."""
    power = min(len(_UNITS) - 1, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {_UNITS[power]}" if power else f"{count} bytes"
