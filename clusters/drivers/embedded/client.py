from __future__ import annotations

import json
from typing import Any

import grpc

from clusters.drivers.embedded.answers import Unreachable as Unreachable
from clusters.drivers.embedded.answers import as_text
from clusters.drivers.embedded.layout import HOST
from clusters.drivers.embedded.server.authentication import CONTROL_SERVICE, authorization

_GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"
_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # Another cluster may have had the port a moment ago; do not reuse its connection.
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
                f"{HOST}:{self._port} answered {method} with invalid JSON. Restart the cluster. If "
                "this persists, its process is faulty."
            ) from error


def check_token(port: int, token: str, *, timeout_seconds: float = 10.0) -> None:
    """Raise Unreachable unless Milvus answers a call with this token."""
    _call(port, _GET_VERSION, b"", token, timeout_seconds)


def _call(port: int, method: str, request: bytes, credential: str, timeout_seconds: float) -> bytes:
    with grpc.insecure_channel(f"{HOST}:{port}", options=_OPTIONS) as channel:
        try:
            answer = channel.unary_unary(method, None, None)(
                request, timeout=timeout_seconds, metadata=authorization(credential)
            )
        except grpc.RpcError as error:
            name = method.rpartition("/")[2]
            details = error.details() if hasattr(error, "details") else error
            raise Unreachable(f"{HOST}:{port} did not answer {name}: {as_text(details)}") from error
    return bytes(answer)
