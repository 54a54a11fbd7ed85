from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.milvus.client import Client
from backups.milvus.create import has_partition_key
from backups.milvus.encode import field_data
from backups.milvus.errors import MilvusError, TooLarge
from backups.milvus.losses import keeps_given_keys

_MESSAGE_BYTES = 4 * 1024 * 1024
_MAX_ROWS = 8192

Sent = tuple[Callable[[], Any], Callable[[], None]]


class Inserter:
    """Insert of the batches of one collection. `finish` returns after the last acknowledgement.

    A message is encoded while the server handles the previous ones, one per connection.
    """

    def __init__(
        self,
        client: Client,
        collection: CollectionDescription,
        name: str,
        *,
        message_bytes: int = _MESSAGE_BYTES,
    ) -> None:
        self._client = client
        self._name = name
        self._embedded = client.server().is_embedded
        self._max_pending = 1 if self._embedded else client.connections
        self._message_bytes = message_bytes
        self._chooses_partition = has_partition_key(collection)
        self._fields = _given_fields(collection, keeps_keys=keeps_given_keys(client.server()))
        self._pending: deque[Sent] = deque()
        self.rows = 0
        """Rows that the server has acknowledged."""

    def add(self, batch: pa.RecordBatch, partition: str | None) -> None:
        """Send a batch. `partition` is ignored if the collection has a partition key."""
        where = "" if self._chooses_partition or partition is None else partition
        for rows, fields in _without_missing_sparse(batch, self._fields, self._embedded):
            for piece in _pieces(rows, self._message_bytes):
                self._send(piece, fields, where)

    def finish(self) -> None:
        while self._pending:
            self._await_oldest()

    def _send(self, rows: pa.RecordBatch, fields: Sequence[FieldDescription], where: str) -> None:
        request = milvus_pb2.InsertRequest(
            collection_name=self._name,
            partition_name=where,
            num_rows=rows.num_rows,
            fields_data=[
                field_data(field, rows.column(field.name), embedded=self._embedded)
                for field in fields
            ],
        )
        answer = self._client.begin("Insert", request, seconds=self._client.long_seconds)
        self._pending.append(
            (
                lambda: self._acknowledged_rows(answer(), rows.num_rows),
                lambda: self._send_halves(rows, fields, where),
            )
        )
        while len(self._pending) > self._max_pending:
            self._await_oldest()

    def _await_oldest(self) -> None:
        acknowledged_rows, send_halves = self._pending.popleft()
        try:
            self.rows += acknowledged_rows()
        except TooLarge:
            send_halves()

    def _send_halves(
        self, rows: pa.RecordBatch, fields: Sequence[FieldDescription], where: str
    ) -> None:
        if rows.num_rows == 1:
            raise MilvusError(
                f"A row of {self._name!r} exceeds the message size of the server. Increase that "
                "size, or leave the collection out.",
                permanent=True,
            )
        self._message_bytes = max(1, min(self._message_bytes, rows.nbytes) // 2)
        half = rows.num_rows // 2
        self._send(rows.slice(0, half), fields, where)
        self._send(rows.slice(half), fields, where)

    def _acknowledged_rows(self, answer: Any, sent: int) -> int:
        if answer.insert_cnt != sent:
            raise MilvusError(
                f"The server inserted {answer.insert_cnt} of {sent} rows into {self._name!r}.",
                permanent=False,
            )
        return sent


def _given_fields(
    collection: CollectionDescription, *, keeps_keys: bool
) -> tuple[FieldDescription, ...]:
    """Select the fields to send: all except function outputs and keys that the server generates."""
    return tuple(
        field
        for field in collection.columns
        if not field.is_function_output
        and (keeps_keys or not (field.is_primary_key and field.auto_id))
    )


def _pieces(rows: pa.RecordBatch, message_bytes: int) -> Iterator[pa.RecordBatch]:
    if not rows.num_rows:
        return
    row_bytes = max(1, rows.nbytes // rows.num_rows)
    step = max(1, min(_MAX_ROWS, message_bytes // row_bytes))
    for start in range(0, rows.num_rows, step):
        yield rows.slice(start, step)


def _without_missing_sparse(
    batch: pa.RecordBatch, fields: Sequence[FieldDescription], embedded: bool
) -> Iterator[tuple[pa.RecordBatch, Sequence[FieldDescription]]]:
    """Split rows by missing sparse vectors, because the embedded engine accepts a missing one only
    if the field is not sent.
    """
    nullable = [f for f in fields if f.data_type is DataType.SPARSE_FLOAT_VECTOR and f.nullable]
    parts: list[tuple[pa.RecordBatch, Sequence[FieldDescription]]] = [(batch, fields)]
    for field in nullable if embedded else ():
        parts = [split for part in parts for split in _split(*part, field)]
    yield from parts


def _split(
    rows: pa.RecordBatch, fields: Sequence[FieldDescription], field: FieldDescription
) -> Iterator[tuple[pa.RecordBatch, Sequence[FieldDescription]]]:
    missing = rows.column(field.name).is_null()
    given = rows.filter(pc.invert(missing))
    present = FieldDescription(**{**vars(field), "nullable": False})
    yield given, [present if other is field else other for other in fields]
    yield rows.filter(missing), [other for other in fields if other is not field]
