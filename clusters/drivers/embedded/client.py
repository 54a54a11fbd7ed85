"""The driver's end of the wire: the control service, and one Milvus call that proves a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from clusters.drivers.embedded.answers import Unreachable as Unreachable
from clusters.drivers.embedded.answers import as_text
from clusters.drivers.embedded.layout import HOST
from clusters.drivers.embedded.server.authentication import CONTROL_SERVICE, authorization

_GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # Another cluster may have had the port a moment ago; share no connection's memory with it.
    ("grpc.use_local_subchannel_pool", 1),
]


class ControlClient:
    """Calls one cluster's control service with the console's credential."""

    def __init__(self, port: int, credential: str) -> None:
        self._port = port
        self._credential = credential

    def call(self, method: str, *, timeout_seconds: float = 10.0, **arguments: Any) -> Any:
        answer = _call(
            self._port,
            f"/{CONTROL_SERVICE}/{method}",
            json.dumps(arguments).encode(),
            self._credential,
            timeout_seconds,
        )
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise Unreachable(
                f"{HOST}:{self._port} answered {method} with something else than JSON. Restart the "
                "cluster; if this stays, its process is at fault."
            ) from error


def check_token(port: int, token: str, *, timeout_seconds: float = 10.0) -> None:
    """Raise unless Milvus answers a health call with this token."""
    _call(port, _GET_VERSION, b"", token, timeout_seconds)


def _call(port: int, method: str, request: bytes, credential: str, timeout_seconds: float) -> bytes:
    with _channel(port) as channel:
        try:
            answer = channel.unary_unary(method, None, None)(
                request, timeout=timeout_seconds, metadata=authorization(credential)
            )
        except grpc.RpcError as error:
            raise Unreachable(_in_words(port, method, error)) from error
    return bytes(answer)


@contextmanager
def _channel(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"{HOST}:{port}", options=_OPTIONS) as channel:
        yield channel


def _in_words(port: int, method: str, error: grpc.RpcError) -> str:
    name = method.rpartition("/")[2]
    details = getattr(error, "details", lambda: error)()
    return f"{HOST}:{port} did not answer {name}: {as_text(details)}"
