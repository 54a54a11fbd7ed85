"""Calls: each is answered by the endpoint of its route, in a thread."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

import grpc
from django.conf import settings
from django.db import close_old_connections
from google.protobuf.message import Message
from google.rpc import status_pb2

from vbase_console.api import idempotency
from vbase_console.api.errors import UNEXPECTED
from vbase_console.api.views import ApiView
from vbase_console.core.client_address import address_behind
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.audit import Interface
from vbase_console.organizations.tenancy import Principal
from vbase_console.rpc.methods import Method
from vbase_console.rpc.status import grpc_code, status_of, trailing_metadata
from vbase_console.rpc.transcoding import answer_message, http_request
from vbase_console.rpc.turns import TooManyCalls, Turns

logger = logging.getLogger(__name__)

RECEIVE_SECONDS = 20.0
NOT_RECEIVED = "The message of the call was not received. Send it again."
NOT_READABLE = "The call has no message of its type. Generate the client from the proto files."
BUSY = "Too many calls are being answered. Try again in a moment."
BUSY_RETRY_SECONDS = 1
unexpected_errors = LogThrottle(minutes=1)

Context = grpc.aio.ServicerContext[Any, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """Answer of one call: a message, or the status of an error."""

    message: Message | None = None
    status: status_pb2.Status | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    endpoint: ApiView | None = None
    """The endpoint that answered; None if none was called."""

    @property
    def code(self) -> str:
        return "OK" if self.status is None else grpc_code(self.status).name

    @property
    def principal(self) -> Principal | None:
        """Principal of the key, as far as the endpoint has read it."""
        request = getattr(self.endpoint, "request", None)
        principal = getattr(request, "_auth", None)  # `auth` would read the key again
        return principal if isinstance(principal, Principal) else None


class UnaryCall:
    def __init__(
        self, method: Method, message: Message, metadata: Mapping[str, str], client: str
    ) -> None:
        self._method, self._message = method, message
        self._metadata, self._client = metadata, client
        self._abandoned = threading.Event()

    def abandon(self) -> None:
        """Let the call change nothing if its transaction has not begun."""
        self._abandoned.set()

    def run(self) -> Result:
        """Answer the call. Called in a thread, which has a database connection of its own."""
        close_old_connections()
        try:
            return self._answered()
        except Exception as error:
            if unexpected_errors.should_log(self._method.name, error):
                logger.exception("%s: unexpected error", self._method.name)
            return Result(status=error_status(self._method, "INTERNAL", UNEXPECTED))
        finally:
            close_old_connections()

    def _answered(self) -> Result:
        method = self._method
        request, variables = http_request(method, self._message, self._metadata, self._client)
        endpoint = method.endpoint(interface=Interface.GRPC, is_abandoned=self._abandoned.is_set)
        response = endpoint.dispatch(request, **variables)
        metadata = tuple(
            (name.lower(), response.headers[name])
            for name in (idempotency.OPERATION_ID, idempotency.REPLAYED)
            if name in response.headers
        )
        if response.status_code < 400:
            message = answer_message(method, response.data)
            return Result(message=message, metadata=metadata, endpoint=endpoint)
        retry_after = response.headers.get("Retry-After")
        status = status_of(response.data["response"], method.request, retry_after=retry_after)
        return Result(status=status, metadata=metadata, endpoint=endpoint)


class Calls:
    """Handlers of the unary methods, and the way of every call to its endpoint."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(requests: AsyncIterator[Message | None], context: Context) -> Any:
            return await self._answer(method, await only_request(requests, context), context)

        # On the wire a unary call is a stream of one message.
        return grpc.stream_unary_rpc_method_handler(
            answer,
            request_deserializer=method.parse,
            response_serializer=method.answer.SerializeToString,
        )

    async def _answer(self, method: Method, message: Message, context: Context) -> Any:
        log, result = AccessLog(method, context), None
        try:
            result = await self.result(method, message, context)
            if result.metadata:
                await context.send_initial_metadata(result.metadata)
            if result.status is not None:
                await abort(context, result.status)
            return result.message
        finally:
            log.write(result)

    async def result(self, method: Method, message: Message, context: Context) -> Result:
        """Answer a call in a thread. A call that is cancelled here does not begin to change."""
        metadata = metadata_of(context)
        call = UnaryCall(method, message, metadata, client_address(context.peer(), metadata))
        try:
            key = metadata.get("authorization", "")
            return await self._turns.run(key, message.ByteSize(), call.run)
        except TooManyCalls:
            status = error_status(method, "RESOURCE_EXHAUSTED", BUSY, BUSY_RETRY_SECONDS)
            return Result(status=status)
        except asyncio.CancelledError:  # by the client, or by its deadline
            call.abandon()
            raise


async def only_request(requests: AsyncIterator[Message | None], context: Context) -> Message:
    """Receive the message of a call. Unlike the library, which waits for ever, this ends calls of
    clients that do not send it.
    """
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            message = await anext(requests, None)
    except TimeoutError:
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, NOT_RECEIVED)
    if message is None:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, NOT_READABLE)
    return message


async def abort(context: Context, status: status_pb2.Status) -> NoReturn:
    """End the call with an error. Raises AbortError."""
    await context.abort(grpc_code(status), status.message, trailing_metadata(status))


def error_status(
    method: Method, code: str, message: str, retry_after: int | None = None
) -> status_pb2.Status:
    """Return the status of an error that no endpoint has answered."""
    error = {"code": code, "message": message}
    seconds = None if retry_after is None else str(retry_after)
    return status_of(error, method.request, retry_after=seconds)


class AccessLog:
    """Line of the access log about one call, from its arrival to its end."""

    def __init__(self, method: Method, context: Context) -> None:
        self._name, self._began_at = method.name, time.monotonic()
        self._client = client_address(context.peer(), metadata_of(context))

    def write(self, result: Result | None) -> None:
        """Write the line. A call without a valid key has none, so that strangers do not fill the
        log; `rejected_keys` counts them. A cancelled call has no result.
        """
        caller = result.principal if result is not None else None
        level = logging.DEBUG if caller is None else logging.INFO
        code = "CANCELLED" if result is None else result.code
        label = caller.label if caller is not None else "unknown key"
        milliseconds = 1000 * (time.monotonic() - self._began_at)
        line = "%s: %s, %s from %s, %.0f ms"
        logger.log(level, line, self._name, code, label, self._client, milliseconds)


def client_address(peer: str, metadata: Mapping[str, str]) -> str:
    """Return the address of the client: `peer` is `ipv4:127.0.0.1:50000` or `ipv6:%5B::1%5D:50000`,
    or that of the nearest trusted proxy.
    """
    _, _, address = unquote(peer).partition(":")
    host, _, _ = address.rpartition(":")
    forwarded = metadata.get("x-forwarded-for", "")
    return address_behind(host.strip("[]"), forwarded, settings.GRPC_TRUSTED_PROXIES) or ""


def metadata_of(context: Context) -> dict[str, str]:
    """Return the metadata. Repeated entries are joined, as in HTTP."""
    entries: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            entries[name] = f"{entries[name]},{value}" if name in entries else value
    return entries
