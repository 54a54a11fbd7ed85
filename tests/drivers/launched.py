"""A launcher of the embedded driver, started for a test and ended after it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import psutil
from pymilvus import DataType, MilvusClient

from clusters.drivers.embedded.answers import Unreachable
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.server.authentication import fingerprint
from tests.ports import free_port

TOKEN = "a tenant's token"
CONTROL = "the console's credential"
START_TIMEOUT_SECONDS = 90
DIMENSION = 8


class Launched:
    """Start it, kill it, start it again: the data directory stays."""

    module = "clusters.drivers.embedded.server.launcher"

    def __init__(self, data_dir: Path, *flags: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self._flags = flags
        self._environment = environment
        self._clients: list[MilvusClient] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Launched:
        command = [sys.executable, "-m", self.module]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(self.data_dir), "--port", str(self.port), *self._flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self._environment},
        )
        assert self.process.stdin is not None
        given = {"token_sha256": fingerprint(TOKEN), "control_sha256": fingerprint(CONTROL)}
        with self.process.stdin as pipe:
            pipe.write(json.dumps(given).encode() + b"\n")
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        wait_for(lambda: self.health().get("ready"), START_TIMEOUT_SECONDS)

    def health(self) -> dict[str, Any]:
        try:
            return dict(self.control("Health"))
        except Unreachable:
            assert self.process is not None
            assert self.process.poll() is None, "the launcher ended"
            return {}

    def control(self, method: str, **arguments: Any) -> Any:
        return ControlClient(self.port, CONTROL).call(method, timeout_seconds=60, **arguments)

    def client(self, token: str = TOKEN, **options: Any) -> MilvusClient:
        client = MilvusClient(f"http://127.0.0.1:{self.port}", token=token, **options)
        self._clients.append(client)
        return client

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        for client in self._clients:
            client.close()
        self._clients.clear()
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def restart(self) -> Launched:
        self.end()
        return self.start()

    def close(self) -> None:
        if not self.has_ended():
            self.kill()


def wait_for(condition: Any, timeout_seconds: float = 30) -> Any:
    """Return the first true value of the condition."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout_seconds} s in vain")


def raw_call(port: int, method: str, *authorization: str, streaming: bool = False) -> Any:
    """One call without pymilvus; answers its status code."""
    metadata = [("authorization", value) for value in authorization]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            if streaming:
                stream = channel.stream_stream(method, None, None)(iter(()), metadata=metadata)
                list(stream)
            else:
                channel.unary_unary(method, None, None)(b"", metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
        return grpc.StatusCode.OK


def encoded(credential: str) -> str:
    return base64.b64encode(credential.encode()).decode()


def make_collection(
    client: MilvusClient, name: str, *, auto_id: bool = False, index: str | None = None
) -> None:
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    client.create_collection(name, schema=schema)
    if index is not None:
        parameters = client.prepare_index_params()
        parameters.add_index("vector", index_type=index, metric_type="L2")
        client.create_index(name, parameters)


def row(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "vector": [float(number)] * DIMENSION, **fields}


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [row(number) for number in numbers]


def ids(client: MilvusClient, name: str) -> set[int]:
    return {found["id"] for found in client.query(name, filter="id >= 0", output_fields=["id"])}


def nearest(client: MilvusClient, name: str, number: int) -> int:
    (hits,) = client.search(name, [[float(number)] * DIMENSION], limit=1)
    return int(hits[0]["id"])


def threads_cores(pid: int) -> set[int]:
    """Return the numbers of cores that the threads of the process may use."""
    tasks = [thread.id for thread in psutil.Process(pid).threads()]
    return {len(os.sched_getaffinity(task)) for task in tasks}
