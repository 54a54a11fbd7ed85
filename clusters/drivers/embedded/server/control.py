"""Control service of the console on the cluster's port, with JSON requests and responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc

from clusters.drivers.embedded.server import waiting
from clusters.drivers.embedded.server.authentication import CONTROL_SERVICE
from clusters.drivers.embedded.server.wire import GenericHandler, Handler

_THREADS_EACH = 8

Answer = dict[str, Any]
Method = Callable[..., Answer]


class ControlError(Exception):
    """A request cannot be executed. The message states the problem and the remedy."""


def control_handlers(methods: Mapping[str, Method]) -> GenericHandler:
    """Serve each method under its name, with the JSON object of the request as keyword arguments.

    Each method has its own threads, so that health answers while the tenant occupies all others and
    while a snapshot waits for its locks.
    """
    handlers = {name: _handler(name, method) for name, method in methods.items()}
    return grpc.method_handlers_generic_handler(CONTROL_SERVICE, handlers)


def _handler(name: str, method: Method) -> Handler:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            with waiting.on_behalf_of(context):
                return json.dumps(method(**json.loads(request or b"{}"))).encode()
        except waiting.CallerGone:
            context.abort(
                grpc.StatusCode.CANCELLED, "The console cancelled the call before it was executed."
            )
            raise  # for the type checker, because abort always raises
        except (ControlError, ValueError, TypeError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise  # for the type checker, because abort always raises

    threads = futures.ThreadPoolExecutor(_THREADS_EACH, thread_name_prefix=name)
    answer.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(answer)
