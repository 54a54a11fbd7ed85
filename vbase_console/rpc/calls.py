"""Unary calls: each is answered by the endpoint of its route, in a thread of a bounded pool."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from typing import Any
from urllib.parse import unquote

import grpc
from django.db import close_old_connections
from google.protobuf.message import Message
from google.rpc import status_pb2

from vbase_console.api import idempotency
from vbase_console.api.errors import UNEXPECTED
from vbase_console.organizations.audit import Interface
from vbase_console.rpc.methods import Method
from vbase_console.rpc.status import grpc_code, status_of, trailing_metadata
from vbase_console.rpc.transcoding import answer_message, http_request

logger = logging.getLogger(__name__)

MAX_CALLS = 500
"""Calls that are executed or wait for a thread."""
BUSY = "Too many calls are being answered. Try again in a moment."
BUSY_RETRY_SECONDS = "1"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Answer of one call: a message, or the status of an error."""

    message: Message | None = None
    status: status_pb2.Status | None = None
    metadata: tuple[tuple[str, str], ...] = ()


class UnaryCall:
    """One call, from its message to its result."""

    def __init__(
        self, method: Method, message: Message, metadata: Mapping[str, str], peer: str
    ) -> None:
        self._method, self._message = method, message
        self._metadata, self._peer = metadata, peer
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """Let the call change nothing if its transaction has not begun."""
        self._abandoned.set()

    def run(self) -> Result:
        """Answer the call. Called in a thread, which has a database connection of its own."""
        close_old_connections()
        try:
            return self._answered()
        except Exception:
            logger.exception("%s: unexpected error", self._method.name)
            error = {"code": "INTERNAL", "message": UNEXPECTED}
            return Result(status=status_of(error, self._method.request))
        finally:
            close_old_connections()

    def _answered(self) -> Result:
        method = self._method
        request, variables = http_request(method, self._message, self._metadata, self._peer)
        endpoint = method.endpoint(interface=Interface.GRPC, is_abandoned=self._abandoned.is_set)
        response = endpoint.dispatch(request, **variables)
        metadata = tuple(
            (name.lower(), response.headers[name])
            for name in (idempotency.OPERATION_ID, idempotency.REPLAYED)
            if name in response.headers
        )
        if response.status_code < 400:
            message = answer_message(method, response.data)
            return Result(message=message, metadata=metadata)
        status = status_of(
            response.data["response"],
            method.request,
            retry_after=response.headers.get("Retry-After"),
        )
        return Result(status=status, metadata=metadata)


class UnaryCalls:
    """Handlers of the unary methods."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._count = 0
        self._lock = threading.Lock()

    def handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(message: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            return await self._answer(method, message, context)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=method.request.FromString,
            response_serializer=method.answer.SerializeToString,
        )

    async def _answer(
        self, method: Method, message: Message, context: grpc.aio.ServicerContext[Any, Any]
    ) -> Any:
        began_at, peer = time.monotonic(), peer_address(context.peer())
        code = "CANCELLED"
        try:
            result = await self._result(method, message, _metadata_of(context), peer)
            status = result.status
            code = grpc_code(status).name if status is not None else "OK"
            if result.metadata:
                await context.send_initial_metadata(result.metadata)
            if status is not None:
                await abort(context, status)
            return result.message
        finally:
            log_call(method.name, code, peer, began_at)

    async def _result(
        self, method: Method, message: Message, metadata: Mapping[str, str], peer: str
    ) -> Result:
        if not self._admit():
            error = {"code": "RESOURCE_EXHAUSTED", "message": BUSY}
            status = status_of(error, method.request, retry_after=BUSY_RETRY_SECONDS)
            return Result(status=status)
        call = UnaryCall(method, message, metadata, peer)
        future = self._threads.submit(call.run)
        future.add_done_callback(self._release)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:  # by the client, or by its deadline
            call.abandon()
            raise

    def _admit(self) -> bool:
        with self._lock:
            if self._count >= MAX_CALLS:
                return False
            self._count += 1
            return True

    def _release(self, future: Future[Result]) -> None:
        with self._lock:
            self._count -= 1


async def abort(context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status) -> None:
    """End the call with an error. Raises AbortError."""
    await context.abort(grpc_code(status), status.message, trailing_metadata(status))


def log_call(name: str, code: str, peer: str, began_at: float) -> None:
    """Write the access log. Rejected keys are counted and summarized instead."""
    if code != "UNAUTHENTICATED":
        logger.info("%s: %s, %s, %.0f ms", name, code, peer, 1000 * (time.monotonic() - began_at))


def peer_address(peer: str) -> str:
    """Return the address in `ipv4:127.0.0.1:50000` or `ipv6:%5B::1%5D:50000`."""
    _, _, address = unquote(peer).partition(":")
    host, _, _ = address.rpartition(":")
    return host.strip("[]")


def _metadata_of(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, str]:
    """Return the metadata. Repeated entries are joined, as in HTTP."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found[name] = f"{found[name]},{value}" if name in found else value
    return found
