"""A pool without a thread for a call refuses that call and continues to serve."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from clusters.drivers.embedded.server.request_threads import RequestThreads


class ShortOfThreads(RequestThreads):
    """Pool whose first thread cannot be started."""

    failures = 1

    def _adjust_thread_count(self) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("can't start new thread")
        super()._adjust_thread_count()  # type: ignore[misc]


class Echo(grpc.GenericRpcHandler):
    def __init__(self, threads: RequestThreads) -> None:
        self.executed: list[bytes] = []
        self._threads = threads

    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, _context: grpc.ServicerContext) -> bytes:
            self.executed.append(request)
            return request

        answer.experimental_thread_pool = self._threads  # type: ignore[attr-defined]
        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def echo() -> Echo:
    return Echo(ShortOfThreads(1))


@pytest.fixture
def call(echo: Echo) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[echo])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary("/tests.Echo/Echo")
    server.stop(None)


def test_a_call_without_a_thread_is_refused_and_never_executed(
    call: grpc.UnaryUnaryMultiCallable, echo: Echo
) -> None:
    with pytest.raises(grpc.RpcError, match="no thread for this call"):
        call(b"refused", timeout=10)
    assert call(b"served", timeout=10) == b"served"
    assert echo.executed == [b"served"]
