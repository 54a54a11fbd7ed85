"""Threads for calls whose request message has been received.

gRPC gives a call a thread when its headers arrive, and the thread then waits for the message. Calls
that never send one would occupy all threads. gRPC offers no other hook than the thread pool of a
method, so the pool reads the message with gRPC's own internals.
"""

from __future__ import annotations

import logging
from concurrent import futures
from typing import Any

from grpc import _server as grpc_server
from grpc._cython import cygrpc  # type: ignore[attr-defined]

logger = logging.getLogger(__name__)


class RequestThreads(futures.ThreadPoolExecutor):
    """Thread pool for methods with one request message. For `experimental_thread_pool` only."""

    def submit(self, run: Any, /, *arguments: Any, **_: Any) -> futures.Future[Any]:
        """Read the request without a thread, then answer the call in a thread.

        gRPC holds `state.condition`. The arguments are those of its `_handle_unary_unary` and
        `_handle_unary_stream`.
        """
        answer, event, state, behavior, _, deserialize, serialize = arguments
        answered: futures.Future[Any] = futures.Future()
        receive = grpc_server._receive_message(state, event.call, deserialize)

        def answer_received(receive_event: Any) -> Any:
            finished = receive(receive_event)
            if state.request is None:
                _refuse_without_request(event, state)
                answered.set_result(None)
                return finished
            try:
                super(RequestThreads, self).submit(
                    run, answer, event, state, behavior, take_request, deserialize, serialize
                ).add_done_callback(lambda _: answered.set_result(None))
            except RuntimeError as error:  # an error here would end gRPC's only serving thread
                logger.warning("%s: no thread for the call: %s", _method_of(event), error)
                take_request()  # a thread that finds the call in the queue does not execute it
                _abort_unserved(event, state)
                answered.set_result(None)
            return finished

        def take_request() -> Any:
            with state.condition:
                request, state.request = state.request, None
                return request

        operations = (cygrpc.ReceiveMessageOperation(grpc_server._EMPTY_FLAGS),)
        event.call.start_server_batch(operations, answer_received)
        state.due.add(grpc_server._RECEIVE_MESSAGE_TOKEN)
        return answered


def _refuse_without_request(event: Any, state: Any) -> None:
    with state.condition:
        if state.client is grpc_server._CLOSED and not state.statused:
            details = f'"{_method_of(event)}" requires exactly one request message.'
            code = cygrpc.StatusCode.unimplemented
            grpc_server._abort(state, event.call, code, details.encode())


def _abort_unserved(event: Any, state: Any) -> None:
    with state.condition:
        if state.client is not grpc_server._CANCELLED and not state.statused:
            details = b"The cluster has no thread for this call. Try again in a moment."
            grpc_server._abort(state, event.call, cygrpc.StatusCode.unavailable, details)


def _method_of(event: Any) -> str:
    return str(event.call_details.method.decode())
