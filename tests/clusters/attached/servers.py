"""Servers that an organization may try to attach: good ones, and ones that fail in each way."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent import futures
from types import TracebackType
from typing import Any, Self

import grpc
from pymilvus.grpc_gen import milvus_pb2

GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"


class FakeMilvus(grpc.GenericRpcHandler):
    """Answers GetVersion like a Milvus that checks tokens. Other calls are UNIMPLEMENTED."""

    def __init__(
        self,
        *,
        token: str,
        version: str = "v2.5.4",
        credentials: grpc.ServerCredentials | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.token, self.version = token, version
        self.received: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self])
        address = f"{host}:0"
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
        if handler_call_details.method != GET_VERSION:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _, context: self._answer(sent, context))

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

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._treat, args=(connection,), daemon=True).start()


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
            context.wrap_socket(connection, server_side=True).recv(1)
        except OSError:
            connection.close()

    return treat
