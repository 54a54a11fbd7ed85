"""Read a collection over the wire, from any Milvus, in pages ordered by key.

With several connections, several key ranges are requested at once and read in the order of the
keys: docs/backup-streaming.md.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import CollectionDescription
from backups.milvus.client import Client, Pending, consistency, pairs
from backups.milvus.create import has_partition_key
from backups.milvus.decode import keys_of, record_batch
from backups.milvus.errors import MilvusError, TooLarge
from backups.milvus.keys import Key
from backups.milvus.ranges import FIRST_PAGE_ROWS, PageSize, ReadRange
from backups.milvus.scan import Scanned

_BYTES_IN_MEMORY = 64 * 1024 * 1024
"""All pages that wait or are handled, for any number of connections."""
_MAX_ROWS = 16_384
"""Maximum page size of a full Milvus."""
_MAX_ROWS_EMBEDDED = 65_536
"""The embedded engine reads all rows for each page, so pages are large."""

Ranges = Generator[ReadRange, None, None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _RequestedPage:
    """A requested page of rows, or of keys alone."""

    keys: ReadRange
    fields: Sequence[str]
    rows: int
    answer: Pending


class WireScan:
    """Implements `backups.milvus.scan.Scan` over the wire.

    `read_timestamp` pins the instant if the server supports timestamps. The next pages, one per
    connection, are requested while the caller handles the current one.
    """

    def __init__(
        self,
        client: Client,
        collection: CollectionDescription,
        *,
        read_timestamp: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        """`max_bytes` limits the bytes of all pages that wait or are handled further."""
        self.collection = collection
        self._client = client
        self._read_timestamp = read_timestamp
        self._embedded = client.server().is_embedded
        self._connections = 1 if self._embedded else client.connections
        self._max_rows = _MAX_ROWS_EMBEDDED if self._embedded else _MAX_ROWS
        memory = min(max_bytes or _BYTES_IN_MEMORY, _BYTES_IN_MEMORY)
        self._page_bytes = memory // (self._connections + 1)
        self._size = PageSize(self._page_bytes, self._max_rows)

    def rows(self) -> int:
        return self._client.count(self.collection.name, self._read_timestamp)

    def batches(self, after: str | None = None) -> Iterator[Scanned]:
        requested: deque[_RequestedPage] = deque()
        with closing(self._ranges(after)) as ranges:
            try:
                while self._request_ahead(requested, ranges):
                    page, answer = self._await(requested.popleft(), self._size)
                    listed = self._keys_of(page, answer)
                    rest = page.keys.rest(listed)
                    if rest and not (self._embedded and len(listed) < page.rows):
                        requested.appendleft(self._request(rest, self._size, page.fields))
                    if listed:
                        batch = record_batch(answer.fields_data, self.collection)
                        self._size.measure(len(listed), answer.ByteSize())
                        self._request_ahead(requested, ranges)
                        cursor = json.dumps([page.keys.number, listed[-1]])
                        yield Scanned(batch=batch, partition=page.keys.partition, cursor=cursor)
            finally:
                for page in requested:
                    page.answer.cancel()

    def _ranges(self, after: str | None) -> Ranges:
        """Yield the ranges after the cursor `after`, in the order of partitions and keys."""
        start: Sequence[Any] = json.loads(after) if after else (0, None)
        # servers do not read single partitions of a collection with a partition key
        has_key = has_partition_key(self.collection)
        partitions: Sequence[str | None] = (None,) if has_key else self.collection.partitions
        is_split = self._connections > 1 and self.rows() > FIRST_PAGE_ROWS
        for number in range(start[0], len(partitions)):
            last = start[1] if number == start[0] else None
            whole = ReadRange(number=number, partition=partitions[number], after=last)
            if is_split:
                yield from self._split(whole)
            else:
                yield whole

    def _split(self, whole: ReadRange) -> Ranges:
        """Split a range by listing its keys ahead of its pages. The last piece has no upper bound,
        because rows may be added until it is read.
        """
        size = PageSize(self._page_bytes, self._max_rows)
        page = self._request(whole, size, [self.collection.primary_key.name])
        try:
            while True:
                page, answer = self._await(page, size)
                listed, listing = self._keys_of(page, answer), page.keys
                rest = listing.rest(listed)
                if rest is None or len(listed) < page.rows:
                    yield listing
                    return
                size.measure(len(listed), answer.ByteSize())
                page = self._request(rest, size, page.fields)
                yield from listing.split(listed, self._size.rows)
        finally:
            page.answer.cancel()

    def _request_ahead(self, requested: deque[_RequestedPage], ranges: Ranges) -> bool:
        """Request as many pages as there are connections, but only one until the bytes of a row are
        known. Returns False after the last page.
        """
        fields = [field.name for field in self.collection.columns]
        while len(requested) < (self._connections if self._size.is_measured else 1):
            following = next(ranges, None)
            if following is None:
                break
            requested.append(self._request(following, self._size, fields))
        return bool(requested)

    def _await(self, page: _RequestedPage, size: PageSize) -> tuple[_RequestedPage, Any]:
        """Wait for a page. Requests fewer rows while the page is too large for a message."""
        while True:
            try:
                return page, page.answer()
            except TooLarge:
                if page.rows == 1:
                    raise
                size.reduce(page.rows)
                page = self._request(page.keys, size, page.fields)

    def _keys_of(self, page: _RequestedPage, answer: Any) -> Sequence[Key]:
        """Return the keys of a page. Raises MilvusError if rows could be missing or repeated."""
        listed = keys_of(answer.fields_data, self.collection.primary_key)
        if listed and not page.keys.holds(listed):
            raise MilvusError(
                f"The server returned rows of {self.collection.name!r} that are not in the order "
                "of their keys, so the collection cannot be read completely.",
                permanent=True,
            )
        return listed

    def _request(self, keys: ReadRange, size: PageSize, fields: Sequence[str]) -> _RequestedPage:
        request = milvus_pb2.QueryRequest(
            collection_name=self.collection.name,
            expr=keys.expression(self.collection.primary_key),
            output_fields=fields,
            partition_names=[] if keys.partition is None else [keys.partition],
            query_params=pairs(iterator_params(size.rows)),
            **consistency(self._read_timestamp),
        )
        answer = self._client.begin("Query", request, seconds=self._client.long_seconds)
        return _RequestedPage(keys=keys, fields=fields, rows=size.rows, answer=answer)


def iterator_params(rows: int) -> dict[str, str]:
    return {
        "limit": str(rows),
        "iterator": "True",
        "reduce_stop_for_best": "True",
        "ignore_growing": "False",
    }
