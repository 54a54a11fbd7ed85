"""The console's own service on the cluster's port: JSON in, JSON out, for the console's credential only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc

from clusters.drivers.embedded.authentication import CONTROL_SERVICE

Answer = dict[str, Any]
Method = Callable[..., Answer]


class ControlError(Exception):
    """What was asked cannot be done; the message says why and what to do."""


def control_handlers(methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
    """Serve each method under its name; a request's JSON object becomes its keyword arguments.

    It has threads of its own: a health call answers however busy the tenant keeps the others.
    """
    threads = futures.ThreadPoolExecutor(max_workers=4, thread_name_prefix="control")
    handlers = {name: _handler(method, threads) for name, method in methods.items()}
    return grpc.method_handlers_generic_handler(CONTROL_SERVICE, handlers)


def _handler(method: Method, threads: futures.ThreadPoolExecutor) -> grpc.RpcMethodHandler:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return json.dumps(method(**json.loads(request or b"{}"))).encode()
        except (ControlError, ValueError, TypeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise  # abort raises already; this is for the type checker

    answer.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(answer)
