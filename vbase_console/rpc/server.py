from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, close_old_connections, connection
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from vbase_console.rpc.calls import Calls
from vbase_console.rpc.methods import SERVICES, unary_methods
from vbase_console.rpc.public import Health, PublicStreams, Reflection
from vbase_console.rpc.tls import Certificate
from vbase_console.rpc.turns import Turns
from vbase_console.rpc.watch import METHOD, Watches

logger = logging.getLogger(__name__)

GRACE_SECONDS = 3.0
HEALTH_SECONDS = 5.0
MAX_OPEN_CALLS = 10_000
"""Calls and streams, also those whose request has not arrived."""
MAX_METADATA_BYTES = 16 * 1024
OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the port must fail
    ("grpc.max_receive_message_length", settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.server_handshake_timeout_ms", 20_000),
    # Clients like pymilvus send a ping every 10 s, also without a call.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Detect clients that are gone, so that their streams end.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.max_concurrent_streams", 1_100),  # per connection
    ("grpc.compression_enabled_algorithms_bitset", 1),  # none: a small message may inflate
)


class Server:
    """The server of one process. Create it inside its event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._turns = Turns()
        self._poll_thread = ThreadPoolExecutor(1, thread_name_prefix="poll")
        calls = Calls(self._turns)
        self._watches = Watches(calls, self._poll_thread)
        self._public_streams = PublicStreams()
        self._health = Health(self._public_streams)
        self._server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=MAX_OPEN_CALLS)
        self._add_services(calls)
        self.port = self._bind(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self._stopped = asyncio.Event()

    def _add_services(self, calls: Calls) -> None:
        handlers = {path: calls.handler(method) for path, method in unary_methods().items()}
        handlers[METHOD.path] = self._watches.handler()
        for service in SERVICES:
            own = {
                path.rpartition("/")[2]: handler
                for path, handler in handlers.items()
                if path.startswith(f"/{service}/")
            }
            generic = grpc.method_handlers_generic_handler(service, own)
            self._server.add_generic_rpc_handlers((generic,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflected = Reflection(self._public_streams, names)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, self._server)

    def _bind(self, address: str) -> int:
        """Bind the port; 0 chooses a free one. Returns the port."""
        try:
            if not settings.GRPC_TLS_CERT:
                if not _is_loopback(address):
                    logger.warning("%s: no TLS, so API keys can be read on the network", address)
                return int(self._server.add_insecure_port(address))
            files = Path(settings.GRPC_TLS_CERT), Path(settings.GRPC_TLS_KEY)
            return int(self._server.add_secure_port(address, Certificate(*files).credentials()))
        except RuntimeError as error:
            raise ImproperlyConfigured(
                f"{address} cannot be used. Choose another VBASE_GRPC_PORT or VBASE_GRPC_HOST, or "
                "stop the program that uses it."
            ) from error

    async def run(self) -> None:
        """Serve until `stop` is called."""
        background = [
            asyncio.create_task(self._watches.poll_forever()),
            asyncio.create_task(self._report_health()),
        ]
        await self._server.start()
        logger.info("serving gRPC on port %s", self.port)
        await self._stopped.wait()
        logger.info("stopping")
        await self._health.enter_graceful_shutdown()
        self._watches.stop()
        await self._server.stop(GRACE_SECONDS)
        for task in background:
            task.cancel()
        self._turns.close()
        self._poll_thread.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        self._stopped.set()

    async def _report_health(self) -> None:
        """Report NOT_SERVING while the database does not answer."""
        loop = asyncio.get_running_loop()
        status = health_pb2.HealthCheckResponse
        while True:
            answers = await loop.run_in_executor(self._poll_thread, _database_answers)
            for service in ("", *SERVICES):
                await self._health.set(service, status.SERVING if answers else status.NOT_SERVING)
            await asyncio.sleep(HEALTH_SECONDS)


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "[::1]", "localhost:"))


def _database_answers() -> bool:
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    finally:
        close_old_connections()
    return True
