"""The way of every Milvus call to the engine: is the name allowed, whose turn is it, is there room.

The rules are read from the protocol itself: a method that is not known to be a reader is a writer,
and the names that it touches are the fields of its request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from milvus_lite.db import DEFAULT_DATABASE_NAME
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from clusters.drivers.embedded import load_state
from clusters.drivers.embedded.authentication import Credentials, Role
from clusters.drivers.embedded.cores import Permits
from clusters.drivers.embedded.engine import Engine
from clusters.drivers.embedded.locking import CollectionLocks, Key
from clusters.drivers.embedded.methods import (
    CHANGE_LOAD_STATE,
    NAME_FIELDS,
    NEW_NAMES,
    READERS,
    RESERVED,
    UNCOUNTED,
)
from clusters.drivers.embedded.wire import Details, Handler, Interceptor

_SERVICE = "/milvus.proto.milvus.MilvusService"
_METHODS = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods_by_name
_ILLEGAL_ARGUMENT = {"error_code": 6, "code": 6}
_COLLECTION_NOT_FOUND = {"error_code": 4, "code": 100}

Behavior = Callable[[Any, grpc.ServicerContext], Any]


class Gateway(Interceptor):
    """Stands behind the authentication, before the servicer."""

    def __init__(
        self, engine: Engine, locks: CollectionLocks, permits: Permits, credentials: Credentials
    ) -> None:
        self._engine = engine
        self._locks = locks
        self._permits = permits
        self._credentials = credentials
        self.closed_because: str | None = "The cluster is starting; try again in a moment."

    def intercept_service(
        self, continuation: Callable[[Details], Handler | None], handler_call_details: Details
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        behavior = handler.unary_unary if handler is not None else None
        service, _, method = handler_call_details.method.rpartition("/")
        if handler is None or behavior is None or service != _SERVICE:
            return handler
        role = self._credentials.role_of(handler_call_details.invocation_metadata)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._pass(method, role, behavior, request, context),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _pass(
        self,
        method: str,
        role: Role | None,
        behavior: Behavior,
        request: Any,
        context: grpc.ServicerContext,
    ) -> Any:
        if self.closed_because is not None:
            context.abort(grpc.StatusCode.UNAVAILABLE, self.closed_because)
        database = database_of(request, context)
        if role is not Role.CONSOLE and (refusal := self._refusal(method, request, database)):
            return refusal
        with ExitStack() as stack:
            keys = stack.enter_context(self._turn(method, request, database))
            stack.enter_context(nullcontext() if method in UNCOUNTED else self._permits.one())
            answer = self._answer(method, role, behavior, request, context, database)
            if method in CHANGE_LOAD_STATE:
                self._remember_load_state(keys)
            return answer

    def _answer(
        self,
        method: str,
        role: Role | None,
        behavior: Behavior,
        request: Any,
        context: grpc.ServicerContext,
        database: str,
    ) -> Any:
        if method != "ShowCollections":
            return _implemented(method, behavior, request, context)
        # A collection that goes while all are listed would fail the whole list.
        with self._engine.catalogue:
            answer = behavior(request, context)
        return answer if role is Role.CONSOLE else _without_reserved(answer)

    # Whose turn it is

    def _turn(
        self, method: str, request: Any, database: str
    ) -> AbstractContextManager[Collection[Key]]:
        if method in READERS or method in UNCOUNTED:
            return nullcontext(())
        names = _names(request)
        return self._locks.held(lambda: [self._engine.key(name, database) for name in names])

    def _remember_load_state(self, keys: Collection[Key]) -> None:
        for database, name in keys:
            if self._engine.has_collection(name, database):
                load_state.remember(self._engine.get_collection(name, database))

    # What a tenant may name

    def _refusal(self, method: str, request: Any, database: str) -> Any:
        reserved = [name for name in _names(request) if self._is_reserved(name, database)]
        if not reserved:
            return None
        if reserved == [getattr(request, NEW_NAMES.get(method, ""), None)]:
            return _refused(
                method,
                f"{reserved[0]!r} cannot be used: names that begin with {RESERVED!r} are kept for "
                "the console. Choose another name.",
                _ILLEGAL_ARGUMENT,
            )
        return _refused(method, f"collection {reserved[0]!r} does not exist", _COLLECTION_NOT_FOUND)

    def _is_reserved(self, name: str, database: str) -> bool:
        real_name = self._engine.resolve_collection_name(name, database)
        return name.startswith(RESERVED) or real_name.startswith(RESERVED)


def _implemented(
    method: str, behavior: Behavior, request: Any, context: grpc.ServicerContext
) -> Any:
    try:
        return behavior(request, context)
    except NotImplementedError:  # how generated servicers say it; a traceback would fill the log
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"This server does not offer {method}.")


def database_of(request: Any, context: grpc.ServicerContext) -> str:
    """As the engine's own servicer finds it: in the request, else in the call's metadata."""
    if getattr(request, "db_name", ""):
        return str(request.db_name)
    sent = (value for key, value in context.invocation_metadata() if key.lower() == "dbname")
    return next((str(value) for value in sent if value), DEFAULT_DATABASE_NAME)


def _names(request: Any) -> list[str]:
    fields = request.DESCRIPTOR.fields_by_name
    values = [getattr(request, field) for field in NAME_FIELDS if field in fields]
    single = [value for value in values if isinstance(value, str)]
    several = [name for value in values if not isinstance(value, str) for name in value]
    return [name for name in (*single, *several) if name]


def _refused(method: str, reason: str, codes: dict[str, int]) -> Any:
    status = common_pb2.Status(reason=reason, **codes)
    answer = GetMessageClass(_METHODS[method].output_type)
    return status if answer is common_pb2.Status else answer(status=status)


def _without_reserved(answer: Any) -> Any:
    """The lists in this answer run side by side, so an entry leaves all of them."""
    hidden = [i for i, name in enumerate(answer.collection_names) if name.startswith(RESERVED)]
    lists = (
        answer.collection_names,
        answer.inMemory_percentages,
        answer.query_service_available,
        answer.shards_num,
    )
    for index in reversed(hidden):
        for values in lists:
            del values[index]
    return answer
