"""Thin client of the Milvus protocol, with readable errors and a deadline for every call.

Answers keep the columns of the protocol. The public methods of pymilvus turn every row into a
dictionary.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

from backups.milvus import errors
from backups.milvus.answers import checked_count, checked_names, checked_version
from backups.milvus.server import ServerInfo
from clusters.drivers.base import Endpoint, Tls
from clusters.drivers.channel import open_channel
from clusters.milvus_names import Kind

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Maximum size of an answer. A larger page is requested again with fewer rows."""
MAX_ERROR_LENGTH = 2000
"""Length of a server's text in messages."""
MIN_PASSWORD_LENGTH = 8
"""Length from which a password is hidden alone. A shorter one may be part of an ordinary name."""
_QUICK_SECONDS = 60.0
_LONG_SECONDS = 1800.0
"""Deadline of loads and index builds of large collections, unless a job sets another one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MilvusAddress:
    """Address and credential of a Milvus. The credential is a token or `user:password`."""

    host: str
    port: int
    credential: str = dataclasses.field(repr=False)
    database: str = "default"
    tls: Tls | None = None
    given_as: str = ""
    """Address in messages. Empty: host and port."""
    is_console: bool = True
    """True if the credential is the console's, which may read released collections of an embedded
    server. False for the token of a user.
    """
    attempt: str = ""
    """`<task id>-<epoch>`. Embedded servers refuse calls of a superseded attempt."""

    def __str__(self) -> str:
        return self.given_as or f"{self.host}:{self.port}"


class Pending:
    """A call that was sent. Calling the object waits for the answer."""

    def __init__(self, future: Any, answer: Callable[[], Any]) -> None:
        self._future = future
        self._answer = answer
        self._answered = threading.Event()
        future.add_done_callback(lambda _: self._answered.set())

    def __call__(self) -> Any:
        return self._answer()

    def wait(self, seconds: float) -> bool:
        """Wait for an answer or a failure. Returns False if there is none within `seconds`."""
        return self._answered.wait(seconds)

    def cancel(self) -> None:
        """Cancel the call. An embedded server then ends the index build."""
        self._future.cancel()


class Client:
    """A thread-safe client of one database, with one or several connections that take turns. Close
    it, or use `with`.
    """

    def __init__(
        self,
        endpoint: MilvusAddress,
        *,
        connections: int = 1,
        quick_seconds: float = _QUICK_SECONDS,
        long_seconds: float = _LONG_SECONDS,
        max_answer_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.endpoint = endpoint
        self.connections = connections
        self.quick_seconds = quick_seconds
        self.long_seconds = long_seconds
        server = Endpoint(host=endpoint.host, port=endpoint.port)
        self._channels = [
            open_channel(
                server,
                endpoint.tls,
                authority=endpoint.given_as,
                max_answer_bytes=max_answer_bytes,
            )
            for _ in range(connections)
        ]
        self._stubs: Iterator[Any] = itertools.cycle(
            [milvus_pb2_grpc.MilvusServiceStub(channel) for channel in self._channels]
        )
        self._metadata = _metadata(endpoint)
        self._server: ServerInfo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def in_database(self, database: str) -> Client:
        """Return a client of another database that shares the connections of this one."""
        other = copy.copy(self)
        other.endpoint = dataclasses.replace(self.endpoint, database=database)
        other._metadata = _metadata(other.endpoint)
        return other

    # Calls

    def call(self, method: str, request: Any, *, seconds: float | None = None) -> Any:
        return self.begin(method, request, seconds=seconds)()

    def begin(self, method: str, request: Any, *, seconds: float | None = None) -> Pending:
        if "db_name" in request.DESCRIPTOR.fields_by_name and not request.db_name:
            request.db_name = self.endpoint.database
        deadline = seconds or self.quick_seconds
        future = getattr(next(self._stubs), method).future(
            request, timeout=deadline, metadata=self._metadata
        )
        return Pending(future, lambda: self._answer(method, future))

    def _answer(self, method: str, future: Any) -> Any:
        where = f"{method} at {self.endpoint}"
        try:
            answer = future.result()
        except grpc.RpcError as error:
            # Without its cause, because a traceback would show the texts of the server.
            details = self._cleaned(error.details() or "")
            raise errors.error_of_call(error.code(), details, where) from None
        status = answer if isinstance(answer, common_pb2.Status) else answer.status
        status.reason = self._cleaned(status.reason)
        failure = errors.error_of_status(status, where)
        if failure is not None:
            raise failure
        return answer

    def _cleaned(self, text: str) -> str:
        """Shorten a text of the server or of gRPC. Hide the credential, which a server may repeat,
        and the address that a name resolves to, because tenants read the text.
        """
        hidden = dict.fromkeys(_secrets_of(self.endpoint.credential), "***")
        if self.endpoint.given_as:
            hidden[self.endpoint.host] = "the server"
        for secret, shown in hidden.items():
            text = text.replace(secret, shown)
        return text[:MAX_ERROR_LENGTH]

    # Reading

    def server(self) -> ServerInfo:
        if self._server is None:
            answer = self.call("GetVersion", milvus_pb2.GetVersionRequest())
            self._server = ServerInfo(version=checked_version(answer.version))
        return self._server

    def databases(self) -> list[str]:
        answer = self.call("ListDatabases", milvus_pb2.ListDatabasesRequest())
        return checked_names(Kind.DATABASE, answer.db_names)

    def database_properties(self) -> dict[str, str]:
        """Return the properties of the connected database, or none if the server does not support
        properties.
        """
        request = milvus_pb2.DescribeDatabaseRequest(db_name=self.endpoint.database)
        try:
            return mapping(self.call("DescribeDatabase", request).properties)
        except errors.NotOffered:
            return {}

    def collections(self, database: str = "", *, seconds: float | None = None) -> list[str]:
        request = milvus_pb2.ShowCollectionsRequest(db_name=database)
        answer = self.call("ShowCollections", request, seconds=seconds)
        return sorted(checked_names(Kind.COLLECTION, answer.collection_names))

    def has(self, collection: str) -> bool:
        """Return True if a collection or an alias has this name."""
        try:
            self.describe(collection)
        except errors.MilvusNotFound:
            return False
        return True

    def describe(self, collection: str) -> Any:
        request = milvus_pb2.DescribeCollectionRequest(collection_name=collection)
        return self.call("DescribeCollection", request)

    def aliases(self, collection: str, *, seconds: float | None = None) -> list[str]:
        request = milvus_pb2.ListAliasesRequest(collection_name=collection)
        answer = self.call("ListAliases", request, seconds=seconds)
        return sorted(checked_names(Kind.ALIAS, answer.aliases))

    def partitions(self, collection: str, *, seconds: float | None = None) -> Any:
        request = milvus_pb2.ShowPartitionsRequest(collection_name=collection)
        return self.call("ShowPartitions", request, seconds=seconds)

    def indexes(self, collection: str, *, seconds: float | None = None) -> list[Any]:
        request = milvus_pb2.DescribeIndexRequest(collection_name=collection)
        try:
            return list(self.call("DescribeIndex", request, seconds=seconds).index_descriptions)
        except errors.MilvusNotFound:
            return []

    def load_state(
        self, collection: str, partitions: Sequence[str] = (), *, seconds: float | None = None
    ) -> int:
        request = milvus_pb2.GetLoadStateRequest(
            collection_name=collection, partition_names=partitions
        )
        return int(self.call("GetLoadState", request, seconds=seconds).state)

    def count(self, collection: str, at: int | None = None, *, seconds: float | None = None) -> int:
        params = {"reduce_stop_for_best": "False", "ignore_growing": "False"}
        if at is not None:
            params["iterator"] = "True"  # in other queries the timestamp is only a lower bound
        request = milvus_pb2.QueryRequest(
            collection_name=collection,
            output_fields=["count(*)"],
            query_params=pairs(params),
            **consistency(at),
        )
        answer = self.call("Query", request, seconds=seconds or self.long_seconds)
        counts = [column.scalars.long_data.data for column in answer.fields_data]
        return checked_count(counts[0][0] if counts and counts[0] else "")

    # Changing

    def drop(self, collection: str) -> None:
        """Drop a collection. A missing one is ignored."""
        request = milvus_pb2.DropCollectionRequest(collection_name=collection)
        try:
            self.call("DropCollection", request, seconds=self.long_seconds)
        except errors.MilvusNotFound:
            return

    def rename(self, old: str, new: str) -> None:
        request = milvus_pb2.RenameCollectionRequest(oldName=old, newName=new)
        self.call("RenameCollection", request, seconds=self.long_seconds)

    def flush(self, collections: Sequence[str]) -> None:
        request = milvus_pb2.FlushRequest(collection_names=collections)
        self.call("Flush", request, seconds=self.long_seconds)

    def create_alias(self, alias: str, collection: str) -> None:
        request = milvus_pb2.CreateAliasRequest(alias=alias, collection_name=collection)
        self.call("CreateAlias", request)

    def alter_alias(self, alias: str, collection: str) -> None:
        """Move an existing alias to another collection atomically."""
        request = milvus_pb2.AlterAliasRequest(alias=alias, collection_name=collection)
        self.call("AlterAlias", request)

    def drop_alias(self, alias: str) -> None:
        try:
            self.call("DropAlias", milvus_pb2.DropAliasRequest(alias=alias))
        except errors.MilvusNotFound:
            return

    def create_database(self, name: str) -> None:
        self.call("CreateDatabase", milvus_pb2.CreateDatabaseRequest(db_name=name))

    def drop_database(self, name: str) -> None:
        self.call("DropDatabase", milvus_pb2.DropDatabaseRequest(db_name=name))


def consistency(read_timestamp: int | None) -> dict[str, int]:
    if read_timestamp is None:
        return {"consistency_level": common_pb2.Strong}
    return {"consistency_level": common_pb2.Customized, "guarantee_timestamp": read_timestamp}


def pairs(values: dict[str, str]) -> list[Any]:
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in values.items()]


def mapping(values: Iterable[Any]) -> dict[str, str]:
    return {pair.key: pair.value for pair in values}


def _secrets_of(credential: str) -> list[str]:
    """Forms in which a server knows a credential, the longest first."""
    encoded = base64.b64encode(credential.encode()).decode()
    password = credential.partition(":")[2]
    secrets = [encoded, credential] if credential else []
    return [*secrets, password] if len(password) >= MIN_PASSWORD_LENGTH else secrets


def _metadata(endpoint: MilvusAddress) -> tuple[tuple[str, str], ...]:
    metadata = {"dbname": endpoint.database}
    if endpoint.credential:
        metadata["authorization"] = base64.b64encode(endpoint.credential.encode()).decode()
    if endpoint.attempt:
        metadata["vbase-attempt"] = endpoint.attempt
    return tuple(metadata.items())
