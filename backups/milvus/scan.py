"""What reading a collection gives, whichever way it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa

from backups.archive.description import CollectionDescription


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scanned:
    """Some rows, and where to go on after them."""

    batch: pa.RecordBatch
    partition: str | None
    """None where a partition key decides, so that nobody can choose it."""
    cursor: str


class Scan(Protocol):
    """A collection as a stream of batches in the schema of `arrow_schema(collection)`.

    The order is the same at every attempt: `batches(after=cursor)` gives exactly what the first
    attempt would have given after the batch of that cursor, and reads little or nothing of what
    lies before it.
    """

    collection: CollectionDescription

    def rows(self) -> int:
        """How many rows there are to read: what progress is measured against."""

    def batches(self, after: str | None = None) -> Iterator[Scanned]: ...
