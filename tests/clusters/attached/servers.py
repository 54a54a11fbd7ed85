"""Servers that an organization may try to attach: good ones, and ones that fail in each way."""

from __future__ import annotations

import base64
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2

from tests.drivers.launched import TOKEN, raw_call, wait_for
from tests.ports import free_port

GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"


class LiteServer:
    """milvus-lite as its users start it, without the console's launcher. It checks no token."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        where = ["--data-dir", str(directory), "--host", "127.0.0.1", "--port", str(self.port)]
        self._command = [sys.executable, "-m", "milvus_lite", "server", *where]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._answers, 60)

    def client(self) -> MilvusClient:
        # A shared connection stays open after the client is closed, and its keep-alive pings make
        # milvus-lite refuse the next call after half a minute: "Too many pings".
        return MilvusClient(f"http://127.0.0.1:{self.port}", token=TOKEN, dedicated=True)

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def close(self) -> None:
        if self._process.poll() is None:
            self.end()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "the server ended"
        return raw_call(self.port, GET_VERSION) is grpc.StatusCode.OK


class FakeMilvus(grpc.GenericRpcHandler):
    """Answers GetVersion like a Milvus that checks tokens. Other calls are UNIMPLEMENTED."""

    def __init__(
        self,
        *,
        token: str,
        version: str = "v2.5.4",
        credentials: grpc.ServerCredentials | None = None,
        method: str = GET_VERSION,
    ) -> None:
        self.token, self.version, self._method = token, version, method
        self.received: list[str] = []
        self.repeats_token = False
        self.answering = threading.Event()
        self.answering.set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self])
        address = "127.0.0.1:0"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.answering.set()
        self._server.stop(None).wait()

    def service(self, handler_call_details: Any) -> Any:
        metadata = dict(handler_call_details.invocation_metadata)
        sent = base64.b64decode(str(metadata.get("authorization", ""))).decode()
        self.received.append(sent)
        if handler_call_details.method != self._method:
            return self._repeat(sent) if self.repeats_token else None
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self._answer(sent, context))

    def _repeat(self, sent: str) -> Any:
        def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the token is {sent}")

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _answer(self, sent: str, context: grpc.ServicerContext) -> bytes:
        self.answering.wait()
        if sent != self.token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"not {sent}, but {self.token}")
        answer = milvus_pb2.GetVersionResponse(version=self.version)
        return bytes(answer.SerializeToString())


class RawServer:
    """Accepts connections and treats each as it is told."""

    def __init__(self, treat: Callable[[socket.socket], None]) -> None:
        self._treat = treat
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def drop_connections(self) -> None:
        for connection in self._open:
            connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._try_to_treat, args=(connection,), daemon=True).start()

    def _try_to_treat(self, connection: socket.socket) -> None:
        """The client may have hung up before it is treated, and the test may have ended."""
        with suppress(OSError):
            self._treat(connection)


def hang(connection: socket.socket) -> None:
    """Accept and never answer."""


def hang_up(connection: socket.socket) -> None:
    connection.close()


def speak_http(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    connection.close()


def redirect_to(port: int) -> Callable[[socket.socket], None]:
    """Answer every request with a redirect to another port."""

    def treat(connection: socket.socket) -> None:
        connection.recv(65536)
        where = f"http://127.0.0.1:{port}/"
        connection.sendall(
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {where}\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        connection.close()

    return treat


def speak_tls(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Finish the TLS handshake, then hang."""

    def treat(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                while secure.recv(65536):
                    pass
        except OSError:
            connection.close()

    return treat
