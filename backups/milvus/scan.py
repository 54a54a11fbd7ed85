"""Contract of a scan: the rows of a collection, over the wire or from files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from backups.archive.description import CollectionDescription


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scanned:
    batch: pa.RecordBatch
    partition: str | None
    """None if the collection has a partition key, because the server chooses the partition."""
    cursor: str


class Scan(Protocol):
    """A collection as a stream of batches in the schema of `arrow_schema(collection)`.

    The order is the same in every attempt: `batches(after=cursor)` yields exactly the batches that
    the first attempt would have yielded after that cursor, and skips most or all rows before.
    """

    collection: CollectionDescription

    def rows(self) -> int:
        """Count all rows to read, as the total of the progress."""

    def batches(self, after: str | None = None) -> Iterator[Scanned]: ...
