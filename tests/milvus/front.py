"""A full Milvus, as far as a backup sees one: the embedded server does the work, and here is what a
full one answers otherwise: its version, read timestamps, and work that takes its time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from backups.milvus.client import mapping

VERSION = "v2.6.4"
_PASSED_ON = ("authorization", "dbname", "vbase-attempt")
_REFUSED = 1100
_TYPES: dict[str, tuple[Any, Any]] = {
    "GetVersion": (milvus_pb2.GetVersionRequest, milvus_pb2.GetVersionResponse),
    "Query": (milvus_pb2.QueryRequest, milvus_pb2.QueryResults),
    "DescribeCollection": (
        milvus_pb2.DescribeCollectionRequest,
        milvus_pb2.DescribeCollectionResponse,
    ),
    "DescribeIndex": (milvus_pb2.DescribeIndexRequest, milvus_pb2.DescribeIndexResponse),
    "GetLoadingProgress": (
        milvus_pb2.GetLoadingProgressRequest,
        milvus_pb2.GetLoadingProgressResponse,
    ),
}


class Gate:
    """Pages of rows after the first one wait at the gate while it is closed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open = True
        self._waiting = 0
        self.most_waiting = 0
        self.cancelled = 0

    def close(self) -> None:
        self._is_open = False

    def open(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def pass_through(self, query: Any, context: grpc.ServicerContext) -> None:
        if not reads(query) or " > " not in query.expr:
            return
        context.add_callback(self._leave)
        with self._changed:
            self._waiting += 1
            self.most_waiting = max(self.most_waiting, self._waiting)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open, 60)

    def _leave(self) -> None:
        """The call was answered, or its client has cancelled it."""
        with self._changed:
            self._waiting -= 1
            self.cancelled += not self._is_open
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[Gate], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), 60)

    @property
    def waiting(self) -> int:
        return self._waiting


class Front(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Change its attributes to let it answer otherwise."""

    def __init__(self, behind: str) -> None:
        self.timestamp = 0
        """Timestamp for clients that begin to iterate. 0: none, as before 2.5."""
        self.refused: set[int] = set()
        """Timestamps of which it knows nothing any more."""
        self.uncounted = 0
        """Rows that are counted and never returned."""
        self.collection_id = 1
        self.indexed: list[float] = []
        """Built shares of the indexes of a hidden collection, for the next calls."""
        self.loaded: list[int] = []
        """Loaded percentages, for the next calls."""
        self.queries: list[Any] = []
        self.first_query_at: datetime | None = None
        self.gate = Gate()
        self.broken = ""
        """The expression of a page that it cannot read."""
        self.peers: set[str] = set()
        """Connections over which pages were requested."""
        self._channel = grpc.insecure_channel(behind)
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._channel.close()

    def forget(self) -> None:
        """Whom it has answered so far."""
        self.queries.clear()
        self.first_query_at = None

    # Passing on

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, details.method))

    def _answer(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        if method.endswith("/Query"):
            self.peers.add(context.peer())
            self.gate.pass_through(milvus_pb2.QueryRequest.FromString(request), context)
        metadata = [pair for pair in context.invocation_metadata() if pair[0] in _PASSED_ON]
        try:
            answer = self._channel.unary_unary(method)(request, metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())  # type: ignore[attr-defined]
        return self._changed(method.rpartition("/")[2], request, answer)

    def _changed(self, name: str, request: bytes, answer: bytes) -> bytes:
        if name not in _TYPES:
            return answer
        asked, given = (
            kind.FromString(raw) for kind, raw in zip(_TYPES[name], (request, answer), strict=True)
        )
        change: Callable[[Any, Any], None] = getattr(self, f"_change_{name}")
        change(asked, given)
        return bytes(given.SerializeToString())

    # Answering otherwise

    def _change_GetVersion(self, _asked: Any, given: Any) -> None:  # noqa: N802
        given.version = VERSION

    def _change_DescribeCollection(self, _asked: Any, given: Any) -> None:  # noqa: N802
        given.collectionID = self.collection_id

    def _change_Query(self, asked: Any, given: Any) -> None:  # noqa: N802
        self.queries.append(asked)
        self.first_query_at = self.first_query_at or datetime.now(UTC)
        if self.broken and asked.expr == self.broken:
            given.Clear()
            given.status.CopyFrom(common_pb2.Status(code=_REFUSED, reason="broken page"))
        elif asked.guarantee_timestamp in self.refused:
            given.Clear()
            given.status.CopyFrom(common_pb2.Status(code=_REFUSED, reason="timestamp too old"))
        elif counts(asked):
            given.fields_data[0].scalars.long_data.data[0] += self.uncounted
        elif is_iterator(asked) and not asked.guarantee_timestamp:
            given.session_ts = self.timestamp

    def _change_DescribeIndex(self, asked: Any, given: Any) -> None:  # noqa: N802
        is_ours = asked.collection_name.startswith("_vbase_")
        if is_ours and given.index_descriptions and self.indexed:
            part = self.indexed.pop(0)
            for index in given.index_descriptions:
                index.indexed_rows = int(index.total_rows * part)
                index.state = common_pb2.IndexState.InProgress

    def _change_GetLoadingProgress(self, _asked: Any, given: Any) -> None:  # noqa: N802
        if self.loaded:
            given.progress = self.loaded.pop(0)


def counts(query: Any) -> bool:
    return list(query.output_fields) == ["count(*)"]


def is_iterator(query: Any) -> bool:
    return mapping(query.query_params).get("iterator") == "True"


def reads(query: Any) -> bool:
    """A page of whole rows."""
    return not counts(query) and len(query.output_fields) > 1
