"""The gRPC server: its options, services and end."""

from __future__ import annotations

import asyncio
import logging
import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
from django.conf import settings
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from vbase_console.rpc.calls import UnaryCalls
from vbase_console.rpc.methods import SERVICES, unary_methods

logger = logging.getLogger(__name__)

THREADS = 8
GRACE_SECONDS = 3.0
MAX_METADATA_BYTES = 16 * 1024
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the port must fail
    ("grpc.max_receive_message_length", settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.server_handshake_timeout_ms", 20_000),
    # Clients like pymilvus send a ping every 10 s, also without a call.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    # Detect clients that are gone: their streams end.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


class Server:
    def __init__(self, address: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="call")
        self._server = grpc.aio.server(options=OPTIONS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._add_services()
        self._server.add_insecure_port(address)

    def _add_services(self) -> None:
        calls = UnaryCalls(self._threads)
        for service in SERVICES:
            handlers = {
                method.name: calls.handler(method)
                for method in unary_methods().values()
                if method.descriptor.containing_service.full_name == service
            }
            generic = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((generic,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def run(self) -> None:
        await self._server.start()
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(GRACE_SECONDS)
        self._threads.shutdown(cancel_futures=True)
