"""Server of one cluster: engine, gateway and control service, from start to clean stop."""

from __future__ import annotations

import logging
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from milvus_lite._version import get_version
from pymilvus.grpc_gen import milvus_pb2_grpc

from clusters.drivers.embedded.layout import CONSOLE_SNAPSHOTS, TENANT_SNAPSHOTS
from clusters.drivers.embedded.server import indexing, out_of_memory
from clusters.drivers.embedded.server.authentication import AuthenticationInterceptor, Credentials
from clusters.drivers.embedded.server.confinement import UNCONFINED
from clusters.drivers.embedded.server.control import Answer, ControlError, Method, control_handlers
from clusters.drivers.embedded.server.cores import CallPermits, Cores
from clusters.drivers.embedded.server.engine import Engine, files_bytes
from clusters.drivers.embedded.server.expiry import Expiry
from clusters.drivers.embedded.server.fence import Fence, StaleAttempt
from clusters.drivers.embedded.server.gateway import Gateway
from clusters.drivers.embedded.server.locking import CollectionLocks
from clusters.drivers.embedded.server.row_counts import RowCounts
from clusters.drivers.embedded.server.servicer import Servicer
from clusters.drivers.embedded.server.snapshots import SnapshotStore
from clusters.drivers.embedded.server.tenant_snapshots import TenantSnapshots
from clusters.drivers.sandbox.process import Confinement, Level, forbid_listening

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_OTHER_THREADS = 8
"""Threads for streaming methods, which are refused. All others have pools of their own."""
_DRAIN_SECONDS = 3.0
_FLUSH_SECONDS = 7.0
"""Both are below the time-out of a stopping console. Unflushed rows are in the log on disk."""

_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # pymilvus pings every 10 s, also on idle connections; the default limit is 5 minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ("grpc.keepalive_permit_without_calls", 1),
    # No client is disconnected for its pings. Frequent ones do no harm.
    ("grpc.http2.max_ping_strikes", 0),
    # Two servers on one port would share its calls. The second must fail instead.
    ("grpc.so_reuseport", 0),
]


class PortTaken(Exception): ...


class MilvusServer:
    """Listens at once, so that the start can be observed. Serves Milvus when all is opened."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int,
        cores: Cores,
        wanted_cores: int,
        credentials: Credentials,
        stopping: threading.Event,
        guarded: bool,
        confinement: Confinement = UNCONFINED,
        held: bool = False,
    ) -> None:
        self._confinement = confinement
        self._credentials = credentials
        self._cores = cores
        self._stopping = stopping
        self._opened = (0, 0)
        self._engine = Engine(data_dir, guarded=guarded)
        self._locks = CollectionLocks(enabled=guarded)
        self._effective = cores.use(wanted_cores)
        self._permits = CallPermits(self._effective)
        self._bulk_permits = CallPermits(self._effective)
        self._console_snapshots = SnapshotStore(
            self._engine, self._locks, data_dir / CONSOLE_SNAPSHOTS
        )
        self._tenant_snapshots = TenantSnapshots(
            self._engine, SnapshotStore(self._engine, self._locks, data_dir / TENANT_SNAPSHOTS)
        )
        self._row_counts = RowCounts(self._engine)
        self._fence = Fence()
        self._gateway = Gateway(
            self._engine,
            self._locks,
            self._permits,
            self._bulk_permits,
            credentials,
            self._fence,
        )
        self._gateway.is_held = held
        self._server = self._listen(port)

    def _listen(self, port: int) -> grpc.Server:
        server = grpc.server(
            futures.ThreadPoolExecutor(_OTHER_THREADS, thread_name_prefix="other"),
            interceptors=[AuthenticationInterceptor(self._credentials), self._gateway],
            options=_OPTIONS,
        )
        out_of_memory.install()
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(
            Servicer(self._engine, self._locks, self._tenant_snapshots), server
        )
        server.add_generic_rpc_handlers((control_handlers(self._control_methods()),))
        try:
            server.add_insecure_port(f"{_HOST}:{port}")
        except RuntimeError as error:
            raise PortTaken(
                f"Port {port} of {_HOST} is used by another program. End that program."
            ) from error
        server.start()
        if self._confinement.level is Level.FULL:
            for problem in forbid_listening():
                logger.warning("%s", problem)
        return server

    # Control

    def _control_methods(self) -> dict[str, Method]:
        return {
            "Health": self.health,
            "Rotate": self.rotate,
            "SetCores": self.set_cores,
            "Hold": self.hold,
            "Stop": self.stop,
            "CreateSnapshot": self.create_snapshot,
            "DescribeSnapshot": self._console_snapshots.describe,
            "DropSnapshot": self.drop_snapshot,
            "ListSnapshots": self.list_snapshots,
            "IndexProgress": self.index_progress,
            "CollectionSizes": self.collection_sizes,
            "Usage": self.usage,
        }

    def health(self) -> Answer:
        done, total = self._opened
        return {
            "ready": self._gateway.closed_because is None,
            "message": self._gateway.closed_because or "",
            "opened": done,
            "collections": total,
            "version": get_version(),
            "cpu_seconds": round(time.process_time()),
            "cores": self._effective,
            "most_cores": self._cores.most,
            "confinement": {
                "level": self._confinement.level,
                "message": self._confinement.message,
            },
            "failures": {"/".join(key): reason for key, reason in self._engine.failures.items()},
        }

    def rotate(self, token_sha256: str) -> Answer:
        self._credentials.rotate(token_sha256)
        return {}

    def set_cores(self, cores: int) -> Answer:
        self._effective = self._cores.use(cores)
        self._permits.resize(self._effective)
        self._bulk_permits.resize(self._effective)
        return {"cores": self._effective}

    def hold(self, held: bool) -> Answer:
        """Begin or end a hold. It begins when the writes in progress are finished and flushed."""
        self._gateway.is_held = held
        if held:
            self._flush()
        return {}

    def stop(self) -> Answer:
        self._stopping.set()
        return {}

    def create_snapshot(self, attempt: str = "", **options: Any) -> Answer:
        try:
            self._fence.pass_through(attempt)
        except StaleAttempt as error:
            raise ControlError(str(error)) from error
        return self._console_snapshots.create(**options)

    def drop_snapshot(self, name: str) -> Answer:
        self._console_snapshots.drop(name)
        return {}

    def list_snapshots(self) -> Answer:
        return {"names": self._console_snapshots.names()}

    def index_progress(self, database: str, collection: str) -> Answer:
        opened = self._engine.opened(collection, database)
        indexed, total = indexing.progress(opened) if opened is not None else (0, 0)
        return {"indexed": indexed, "total": total}

    def collection_sizes(self, database: str, collections: list[str]) -> Answer:
        """Return the bytes on disk of collections. A collection that does not exist has none."""
        sizes = {name: self._engine.disk_bytes(name, database) for name in collections}
        return {"bytes": sizes}

    def usage(self) -> Answer:
        return {
            "rows": self._row_counts.total(),
            "disk_bytes": files_bytes(self._engine.root),
            "requests": self._gateway.tenant_calls,
        }

    # Start and stop

    def run(self) -> None:
        threading.Thread(target=self._open, name="open", daemon=True).start()
        self._stopping.wait()
        self._close()

    def _open(self) -> None:
        self._engine.prepare()
        total = len(self._engine.keys())
        self._opened = (0, total)
        for number, (database, name) in enumerate(self._engine.open_all(), start=1):
            self._gateway.closed_because = (
                f"Opening collection {number} of {total} ({database}/{name}). "
                "Try again in a moment."
            )
            self._opened = (number - 1, total)
        self._opened = (total, total)
        self._gateway.closed_because = None
        expiry = Expiry(self._engine, self._locks, is_paused=lambda: self._gateway.is_held)
        threading.Thread(
            target=expiry.run, args=(self._stopping,), name="expiry", daemon=True
        ).start()
        logger.info("serving on %s with %d collections", _HOST, total)

    def _close(self) -> None:
        """Finish running calls and flush. A kill at any point loses no acknowledged row."""
        self._gateway.closed_because = "The cluster is stopping. Try again after its next start."
        self._server.stop(_DRAIN_SECONDS).wait()
        flushing = threading.Thread(target=self._flush, name="flush", daemon=True)
        flushing.start()
        flushing.join(_FLUSH_SECONDS)
        logger.info(
            "stopped%s", ", unflushed rows are in the log on disk" if flushing.is_alive() else ""
        )

    def _flush(self) -> None:
        """Flush without waiting for index builds, which continue at the next start."""
        with self._locks.held(self._engine.keys):
            self._engine.flush_all()
