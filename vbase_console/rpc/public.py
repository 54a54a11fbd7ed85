"""Services that need no key: health checking and reflection.

Their streams stay open as long as a client wants, so their number is limited, for each client and
for all.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from vbase_console.rpc.calls import Context, client_address, metadata_of

MAX_STREAMS = 1000
MAX_STREAMS_PER_CLIENT = 20
TOO_MANY = "Too many health and reflection streams are open. Try again in a moment."


class PublicStreams:
    """Limit of the streams of both services."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def opened(self, context: Context) -> AsyncIterator[None]:
        client = client_address(context.peer(), metadata_of(context))
        if self._open[client] >= MAX_STREAMS_PER_CLIENT or self._open.total() >= MAX_STREAMS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            self._open += Counter()  # forgets clients without a stream


class Health(health.aio.HealthServicer):  # type: ignore[name-defined,misc]
    def __init__(self, streams: PublicStreams) -> None:
        super().__init__()
        self._streams = streams

    async def Watch(self, request: Any, context: Context) -> None:  # noqa: N802 - the rpc's name
        async with self._streams.opened(context):
            await super().Watch(request, context)


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[name-defined,misc]
    def __init__(self, streams: PublicStreams, services: tuple[str, ...]) -> None:
        super().__init__(services)
        self._streams = streams

    async def ServerReflectionInfo(  # noqa: N802 - the rpc's name
        self, request_iterator: AsyncIterator[Any], context: Context
    ) -> AsyncIterator[Any]:
        async with self._streams.opened(context):
            async for answer in super().ServerReflectionInfo(request_iterator, context):
                yield answer
