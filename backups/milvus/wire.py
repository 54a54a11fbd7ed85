"""Read a collection over the wire, from any Milvus, in pages ordered by key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import CollectionDescription
from backups.milvus import keys
from backups.milvus.client import Client, consistency, pairs
from backups.milvus.create import has_partition_key
from backups.milvus.decode import last_key, record_batch
from backups.milvus.errors import TooLarge
from backups.milvus.scan import Scanned

_PAGE_BYTES = 32 * 1024 * 1024
_FIRST_ROWS = 4096
_MAX_ROWS = 16_384
"""Maximum page size of a full Milvus."""
_MAX_ROWS_EMBEDDED = 65_536
"""The embedded engine reads all rows for each page, so pages are large."""
_GROWTH = 8

Answer = Callable[[], Any]


class WireScan:
    """Implements `backups.milvus.scan.Scan` over the wire.

    `read_timestamp` pins the instant if the server supports timestamps. The next page is requested
    while the caller handles the current one.
    """

    def __init__(
        self,
        client: Client,
        collection: CollectionDescription,
        *,
        read_timestamp: int | None = None,
        page_bytes: int = _PAGE_BYTES,
    ) -> None:
        self.collection = collection
        self._client = client
        self._read_timestamp = read_timestamp
        self._page_bytes = page_bytes
        self._embedded = client.server().is_embedded
        self._max_rows = _MAX_ROWS_EMBEDDED if self._embedded else _MAX_ROWS
        self._page_rows = _FIRST_ROWS

    def rows(self) -> int:
        return self._client.count(self.collection.name, self._read_timestamp)

    def batches(self, after: str | None = None) -> Iterator[Scanned]:
        start: Sequence[Any] = json.loads(after) if after else (0, None)
        # servers do not read single partitions of a collection with a partition key
        has_key = has_partition_key(self.collection)
        partitions: Sequence[str | None] = (None,) if has_key else self.collection.partitions
        for number in range(start[0], len(partitions)):
            last = start[1] if number == start[0] else None
            yield from self._batches_of(number, partitions[number], last)

    def _batches_of(
        self, number: int, partition: str | None, last: keys.Key | None
    ) -> Iterator[Scanned]:
        following: Answer | None = self._request_page(partition, last)
        while following is not None:
            answer = self._await_page(following, partition, last)
            requested_rows = self._page_rows
            last = last_key(answer.fields_data, self.collection.primary_key)
            if last is None:
                return
            batch = record_batch(answer.fields_data, self.collection)
            fitting = self._page_bytes * batch.num_rows // max(1, answer.ByteSize())
            self._page_rows = max(1, min(fitting, self._page_rows * _GROWTH, self._max_rows))
            ends = keys.is_last(last) or (self._embedded and batch.num_rows < requested_rows)
            following = None if ends else self._request_page(partition, last)
            yield Scanned(batch=batch, partition=partition, cursor=json.dumps([number, last]))

    def _await_page(self, first: Answer, partition: str | None, last: keys.Key | None) -> Any:
        page = first
        while True:
            try:
                return page()
            except TooLarge:
                if self._page_rows == 1:
                    raise
                self._max_rows = self._page_rows = max(1, self._page_rows // 2)
                page = self._request_page(partition, last)

    def _request_page(self, partition: str | None, last: keys.Key | None) -> Answer:
        key = self.collection.primary_key
        request = milvus_pb2.QueryRequest(
            collection_name=self.collection.name,
            expr=keys.every(key) if last is None else keys.after(key, last),
            output_fields=[field.name for field in self.collection.columns],
            partition_names=[] if partition is None else [partition],
            query_params=pairs(iterator_params(self._page_rows)),
            **consistency(self._read_timestamp),
        )
        return self._client.begin("Query", request, seconds=self._client.long_seconds)


def iterator_params(rows: int) -> dict[str, str]:
    return {
        "limit": str(rows),
        "iterator": "True",
        "reduce_stop_for_best": "True",
        "ignore_growing": "False",
    }
