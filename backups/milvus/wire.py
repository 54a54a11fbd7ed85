"""Reading a collection over the wire, from any Milvus, in pages that follow the key."""

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
"""The largest window that a full Milvus answers."""
_MAX_ROWS_EMBEDDED = 65_536
"""Each page makes the embedded engine look at all rows, so pages are few and large."""
_GROWTH = 8

Answer = Callable[[], Any]


class WireScan:
    """Implements `backups.milvus.scan.Scan` over the wire.

    `read_timestamp` pins the instant where the server knows such a thing. The next page is under
    way while the caller works on this one.
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
        self._most_rows = _MAX_ROWS_EMBEDDED if self._embedded else _MAX_ROWS
        self._page_rows = _FIRST_ROWS

    def rows(self) -> int:
        return self._client.count(self.collection.name, self._read_timestamp)

    def batches(self, after: str | None = None) -> Iterator[Scanned]:
        start: Sequence[Any] = json.loads(after) if after else (0, None)
        partitions = self._partitions()
        for number in range(start[0], len(partitions)):
            last = start[1] if number == start[0] else None
            yield from self._of_partition(number, partitions[number], last)

    def _partitions(self) -> Sequence[str | None]:
        """Servers refuse to tell apart the partitions that a key has chosen."""
        chosen = has_partition_key(self.collection)
        return (None,) if chosen else self.collection.partitions

    def _of_partition(
        self, number: int, partition: str | None, last: keys.Key | None
    ) -> Iterator[Scanned]:
        following: Answer | None = self._ask(partition, last)
        while following is not None:
            answer = self._answer(following, partition, last)
            asked = self._page_rows
            last = last_key(answer.fields_data, self.collection.primary_key)
            if last is None:
                return
            batch = record_batch(answer.fields_data, self.collection)
            self._adapt(batch.num_rows, answer.ByteSize())
            ends = keys.is_last(last) or (self._embedded and batch.num_rows < asked)
            following = None if ends else self._ask(partition, last)
            yield Scanned(batch=batch, partition=partition, cursor=json.dumps([number, last]))

    def _ask(self, partition: str | None, last: keys.Key | None) -> Answer:
        request = self._request(partition, last)
        return self._client.begin("Query", request, seconds=self._client.long_seconds)

    def _answer(self, first: Answer, partition: str | None, last: keys.Key | None) -> Any:
        """Smaller and smaller pages while the server cannot send them."""
        asked = first
        while True:
            try:
                return asked()
            except TooLarge:
                if self._page_rows == 1:
                    raise
                self._most_rows = self._page_rows = max(1, self._page_rows // 2)
                asked = self._ask(partition, last)

    def _adapt(self, rows: int, size: int) -> None:
        fitting = self._page_bytes * rows // max(1, size)
        self._page_rows = max(1, min(fitting, self._page_rows * _GROWTH, self._most_rows))

    def _request(self, partition: str | None, last: keys.Key | None) -> Any:
        key = self.collection.primary_key
        return milvus_pb2.QueryRequest(
            collection_name=self.collection.name,
            expr=keys.every(key) if last is None else keys.after(key, last),
            output_fields=[field.name for field in self.collection.columns],
            partition_names=[] if partition is None else [partition],
            query_params=pairs(iterator_params(self._page_rows)),
            **consistency(self._read_timestamp),
        )


def iterator_params(rows: int) -> dict[str, str]:
    """Only requests of this form are answered in the order of the key."""
    return {
        "limit": str(rows),
        "iterator": "True",
        "reduce_stop_for_best": "True",
        "ignore_growing": "False",
    }
