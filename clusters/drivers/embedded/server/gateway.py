"""Admission of Milvus calls to the engine: names, places, locks and permits.

The rules are derived from the protocol: a method that is not listed as a reader is a writer, and
the names that a call uses are fields of its request. docs/embedded-calls.md describes what a call
waits for, and in which order.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from typing import Any

import grpc

from clusters.drivers.embedded.server import load_state, out_of_memory, waiting
from clusters.drivers.embedded.server.authentication import CallerRole, Credentials
from clusters.drivers.embedded.server.cores import CallPermits
from clusters.drivers.embedded.server.databases import database_of, target_database_of
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.fence import Fence, StaleAttempt, attempt_in
from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from clusters.drivers.embedded.server.methods import (
    BUILDS,
    BULK_BYTES,
    CHANGE_LOAD_STATE,
    LONG,
    NAME_FIELDS,
    NEW_NAMES,
    READ_ROWS,
    READERS,
    UNCOUNTED,
    WRITE_ROWS,
)
from clusters.drivers.embedded.server.places import Crowded, Pool
from clusters.drivers.embedded.server.read_gate import gate_of
from clusters.drivers.embedded.server.refusals import METHODS, SERVICE, reason_for_refusing, refused
from clusters.drivers.embedded.server.request_names import refusal_of
from clusters.drivers.embedded.server.request_threads import RequestThreads
from clusters.drivers.embedded.server.servicer import Servicer
from clusters.drivers.embedded.server.unsupported import unsupported_in
from clusters.drivers.embedded.server.wire import Details, Handler, Interceptor
from clusters.milvus_names import RESERVED_PREFIX, Kind, refusal_of_use

_SERVICE = f"/{SERVICE.full_name}"
_ILLEGAL_ARGUMENT = {"error_code": 6, "code": 6}
_UNEXPECTED = {"error_code": 1, "code": 1}
_COLLECTION_NOT_FOUND = {"error_code": 4, "code": 100}
_RATE_LIMIT = {"error_code": 49, "code": 8}

_TENANT_PLACES = 320
_CONSOLE_PLACES = 64
_GREETING_THREADS = 4

_HELD = "The version of the cluster is being changed. Reads are served. Try again in a moment."

_refusals = RequestThreads(2, thread_name_prefix="refusal")

logger = logging.getLogger(__name__)

Behavior = Callable[[Any, grpc.ServicerContext], Any]
Refusal = tuple[str, dict[str, int]]
"""Message for the client, and the error codes of the status."""


@dataclasses.dataclass(frozen=True)
class MilvusCall:
    method: str
    role: CallerRole | None
    request: Any
    context: grpc.ServicerContext
    database: str
    request_bytes: int

    @property
    def is_consoles(self) -> bool:
        return self.role is CallerRole.CONSOLE

    def names(self) -> list[str]:
        """Return the collections and aliases that the request names."""
        known = self.request.DESCRIPTOR.fields_by_name
        values = [getattr(self.request, field) for field in NAME_FIELDS if field in known]
        lists = [[value] if isinstance(value, str) else list(value) for value in values]
        return [name for names in lists for name in names if name]


class Gateway(Interceptor):
    """Interceptor between the authentication and the servicer."""

    def __init__(
        self,
        engine: Engine,
        locks: CollectionLocks,
        permits: CallPermits,
        bulk_permits: CallPermits,
        credentials: Credentials,
        fence: Fence,
    ) -> None:
        self._engine = engine
        self._locks = locks
        self._permits = permits
        self._bulk_permits = bulk_permits
        self._tenant = Pool("tenant", _TENANT_PLACES)
        self._console = Pool("console", _CONSOLE_PLACES)
        self._greetings = RequestThreads(_GREETING_THREADS, thread_name_prefix="greeting")
        self._credentials = credentials
        self._fence = fence
        self._tenant_calls = itertools.count(1)
        self.tenant_calls = 0
        """Calls of the tenant since the start. A concurrent increment may be lost for a moment."""
        self.closed_because: str | None = "The cluster is starting. Try again in a moment."
        self.is_held = False
        """True during an upgrade: only the console may change anything."""

    def intercept_service(
        self, continuation: Callable[[Details], Handler | None], handler_call_details: Details
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        service, _, method = handler_call_details.method.rpartition("/")
        if handler is None or service != _SERVICE:
            return handler
        if reason := reason_for_refusing(method, Servicer):
            return _refusing(method, reason, handler)
        behavior = handler.unary_unary
        if behavior is None:
            return handler
        role = self._credentials.role_of(handler_call_details.invocation_metadata)
        read = handler.request_deserializer or bytes

        def answer(received: tuple[Any, int], context: grpc.ServicerContext) -> Any:
            request, request_bytes = received
            database = database_of(request, context)
            call = MilvusCall(method, role, request, context, database, request_bytes)
            return self._pass(call, behavior)

        threads = self._greetings if method in UNCOUNTED else self._pool(role).threads
        answer.experimental_thread_pool = threads  # type: ignore[attr-defined]
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=lambda message: (read(message), len(message)),
            response_serializer=handler.response_serializer,
        )

    def _pass(self, call: MilvusCall, behavior: Behavior) -> Any:
        if self.closed_because is not None:
            call.context.abort(grpc.StatusCode.UNAVAILABLE, self.closed_because)
        if not call.is_consoles:
            self.tenant_calls = next(self._tenant_calls)
        self._refuse_while_held(call)
        if refusal := self._refusal(call):
            reason, codes = refusal
            return _refused(call, reason, codes)
        try:
            with waiting.on_behalf_of(call.context), self._place(call):
                return self._execute_in_turn(call, behavior)
        except Crowded:
            reason = (
                f"{call.method} was refused, because too many calls are waiting. Try again later."
            )
            return _refused(call, reason, _RATE_LIMIT)
        except waiting.CallerGone:
            call.context.abort(
                grpc.StatusCode.CANCELLED, "The client cancelled the call before it was executed."
            )

    def _refusal(self, call: MilvusCall) -> Refusal | None:
        """Return why the request must not reach the engine. A request without sense is refused."""
        try:
            if illegal := refusal_of(call.request) or refusal_of_use(Kind.DATABASE, call.database):
                return illegal, _ILLEGAL_ARGUMENT
            if call.is_consoles:
                return None
            if refusal := self._refusal_of_reserved(call):
                return refusal
            unsupported = unsupported_in(call.method, call.request)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            reason = (
                f"The request cannot be read: {type(error).__name__}: {error}. Send the request "
                "with a Milvus SDK."
            )
            return reason, _ILLEGAL_ARGUMENT
        return (unsupported, _ILLEGAL_ARGUMENT) if unsupported else None

    def _refuse_while_held(self, call: MilvusCall) -> None:
        is_read = call.method in READERS or call.method in UNCOUNTED
        if self.is_held and not call.is_consoles and not is_read:
            call.context.abort(grpc.StatusCode.UNAVAILABLE, _HELD)

    def _execute_in_turn(self, call: MilvusCall, behavior: Behavior) -> Any:
        with self._turn(call) as keys, self._reading(call), self._permit(call):
            if not call.context.is_active():
                raise waiting.CallerGone
            self._refuse_while_held(call)  # again, because the hold may have begun meanwhile
            self._check_attempt(call)
            try:
                answer = self._answer(call, behavior)
            except MemoryError as error:
                return _refused(call, out_of_memory.reason_of(error), out_of_memory.CODES)
            if call.method in CHANGE_LOAD_STATE:
                self._remember_load_state(keys)
            return answer

    def _check_attempt(self, call: MilvusCall) -> None:
        """Check at the call's turn, because an attempt can be superseded while its call waits."""
        if call.is_consoles:
            try:
                self._fence.pass_through(attempt_in(call.context.invocation_metadata()))
            except StaleAttempt as error:
                call.context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    def _answer(self, call: MilvusCall, behavior: Behavior) -> Any:
        if call.method != "ShowCollections":
            return _answered(call, behavior)
        # A collection that is dropped while all are listed would fail the whole list.
        with self._engine.catalogue:
            answer = _answered(call, behavior)
        return answer if call.is_consoles else _without_reserved(answer)

    # A place first and the permit last, so that no waiting call keeps a permit

    def _pool(self, role: CallerRole | None) -> Pool:
        return self._console if role is CallerRole.CONSOLE else self._tenant

    def _place(self, call: MilvusCall) -> AbstractContextManager[None]:
        if call.method in UNCOUNTED:
            return nullcontext()
        return self._pool(call.role).places.one(self._group(call), call.request_bytes)

    def _group(self, call: MilvusCall) -> Key | None:
        """Return the collection whose calls share places and permits with this call."""
        name = next(iter(call.names()), None)
        return None if name is None else self._engine.key(name, call.database)

    def _turn(self, call: MilvusCall) -> AbstractContextManager[Collection[Key]]:
        if call.method in READERS or call.method in UNCOUNTED:
            return nullcontext(())
        named = [(name, call.database) for name in call.names()]
        if target := getattr(call.request, "target_collection_name", ""):
            named.append((target, target_database_of(call.request, call.context)))
        return self._locks.held(
            lambda: [self._engine.key(name, database) for name, database in named],
            is_build=call.method in BUILDS,
        )

    def _permit(self, call: MilvusCall) -> AbstractContextManager[None]:
        if call.method in UNCOUNTED or call.method in LONG:
            return nullcontext()
        is_bulk = call.method in WRITE_ROWS and call.request_bytes > BULK_BYTES
        return (self._bulk_permits if is_bulk else self._permits).one(self._group(call))

    def _reading(self, call: MilvusCall) -> AbstractContextManager[None]:
        opened = map(self._engine.opened, call.names(), repeat(call.database))
        collection = next(opened, None) if call.method in READ_ROWS else None
        return nullcontext() if collection is None else gate_of(collection).reading()

    def _remember_load_state(self, keys: Collection[Key]) -> None:
        for database, name in keys:
            if self._engine.has_collection(name, database):
                load_state.remember(self._engine.get_collection(name, database))

    # Names that a tenant may use

    def _refusal_of_reserved(self, call: MilvusCall) -> Refusal | None:
        reserved = [name for name in call.names() if self._is_reserved(name, call.database)]
        if not reserved:
            return None
        if reserved == [getattr(call.request, NEW_NAMES.get(call.method, ""), None)]:
            reason = (
                f"{reserved[0]!r} cannot be used, because names that begin with "
                f"{RESERVED_PREFIX!r} are reserved for the console. Choose another name."
            )
            return reason, _ILLEGAL_ARGUMENT
        return f"collection {reserved[0]!r} does not exist", _COLLECTION_NOT_FOUND

    def _is_reserved(self, name: str, database: str) -> bool:
        real_name = self._engine.resolve_collection_name(name, database)
        return name.startswith(RESERVED_PREFIX) or bool(real_name.startswith(RESERVED_PREFIX))


def _refusing(method: str, reason: str, handler: Handler) -> Handler:
    """Return a handler that answers at once, without a lock or a permit."""

    def refuse(_request: Any, context: grpc.ServicerContext) -> Any:
        if (answer := refused(method, reason)) is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, reason)
        return answer

    def refuse_stream(request: Any, context: grpc.ServicerContext) -> Any:
        yield refuse(request, context)

    behavior: Any = refuse_stream if METHODS[method].server_streaming else refuse
    if not METHODS[method].client_streaming:
        behavior.experimental_thread_pool = _refusals
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[METHODS[method].client_streaming, METHODS[method].server_streaming]
    answered: Handler = make(
        behavior,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return answered


def _answered(call: MilvusCall, behavior: Behavior) -> Any:
    """Return an unexpected error as a status, because pymilvus retries gRPC errors for minutes."""
    try:
        return behavior(call.request, call.context)
    except (Crowded, MemoryError, waiting.CallerGone):
        raise
    except Exception as error:
        logger.exception("%s: failed in the engine", call.method)
        reason = (
            f"{call.method} failed: {type(error).__name__}: {error}. Try again. The cluster's log "
            "contains the details."
        )
        return _refused(call, reason, _UNEXPECTED)


def _refused(call: MilvusCall, reason: str, codes: dict[str, int]) -> Any:
    answer = refused(call.method, reason, **codes)
    if answer is None:
        call.context.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)
    return answer


def _without_reserved(answer: Any) -> Any:
    """Remove an entry from all lists of the answer, because the lists are parallel."""
    lists = (
        answer.collection_names,
        answer.inMemory_percentages,
        answer.query_service_available,
        answer.shards_num,
    )
    for index, name in reversed(list(enumerate(answer.collection_names))):
        if name.startswith(RESERVED_PREFIX):
            for values in lists:
                del values[index]
    return answer
