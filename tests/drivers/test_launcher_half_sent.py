"""Calls whose request message has not been sent occupy no thread of the cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from pymilvus.grpc_gen import milvus_pb2

from clusters.drivers.embedded.server.authentication import authorization
from clusters.drivers.embedded.server.refusals import SERVICE
from tests.drivers.launched import TOKEN, Launched

STREAMS = 400
"""More calls than the pool of the tenant has threads."""
LOCAL_POOL = [("grpc.use_local_subchannel_pool", 1)]
VERSION = milvus_pb2.GetVersionRequest()


@pytest.fixture
def channel(server: Launched) -> Iterator[grpc.Channel]:
    """One connection: the server meets its streams in the order of their beginning."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=LOCAL_POOL) as channel:
        yield channel


class HalfSent:
    """Calls whose headers are sent and whose message waits for `finish`."""

    def __init__(self, channel: grpc.Channel, method: str, count: int, message: bytes | None):
        self._finished = threading.Event()
        self._message = message
        begin = channel.stream_unary(f"/{SERVICE.full_name}/{method}").future
        self.calls = [begin(self._requests(), metadata=authorization(TOKEN)) for _ in range(count)]

    def _requests(self) -> Iterator[bytes]:
        self._finished.wait()
        if self._message is not None:
            yield self._message

    def finish(self) -> None:
        self._finished.set()


@contextmanager
def half_sent(
    channel: grpc.Channel, method: str, count: int, message: bytes | None = None
) -> Iterator[HalfSent]:
    calls = HalfSent(channel, method, count, message)
    try:
        yield calls
    finally:
        for call in calls.calls:
            call.cancel()
        calls.finish()


def answer_of(channel: grpc.Channel, method: str) -> bytes:
    call = channel.unary_unary(f"/{SERVICE.full_name}/{method}")
    return bytes(call(b"", metadata=authorization(TOKEN), timeout=30))


@pytest.mark.parametrize(
    ("half_sent_method", "method"),
    [
        ("Query", "ShowCollections"),
        ("Connect", "GetVersion"),
        ("CreateCredential", "CreateRole"),
    ],
)
def test_calls_without_a_message_leave_the_threads_to_others(
    channel: grpc.Channel, half_sent_method: str, method: str
) -> None:
    with half_sent(channel, half_sent_method, STREAMS):
        assert answer_of(channel, method)


def test_a_message_that_comes_late_is_answered(channel: grpc.Channel) -> None:
    with half_sent(channel, "GetVersion", 1, VERSION.SerializeToString()) as calls:
        assert answer_of(channel, "GetVersion")
        calls.finish()
        answer = milvus_pb2.GetVersionResponse.FromString(calls.calls[0].result(30))
    assert answer.version


def test_a_call_that_ends_without_a_message_is_refused(channel: grpc.Channel) -> None:
    with half_sent(channel, "Query", 1) as calls:
        calls.finish()
        with pytest.raises(grpc.RpcError, match="requires exactly one request message"):
            calls.calls[0].result(30)


def test_a_server_stops_beside_calls_without_a_message(launch: Callable[..., Launched]) -> None:
    launched = launch()
    address = f"127.0.0.1:{launched.port}"
    with (
        grpc.insecure_channel(address, options=LOCAL_POOL) as channel,
        half_sent(channel, "Query", 10) as calls,
    ):
        assert answer_of(channel, "GetVersion")
        assert launched.end() == 0
        assert all(call.code() is not grpc.StatusCode.OK for call in calls.calls)
