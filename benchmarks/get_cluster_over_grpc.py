"""GetCluster over gRPC against the same call over REST, on one database.

Each interface has the processes that `make run` starts: one for gRPC, two for the web. They are
asked in turns, in short rounds whose order changes, so that other load of the machine affects both.
The gRPC client is Google's for Python, in this process; the REST client sends prepared bytes. The
rate over gRPC therefore contains a client that costs more, and the processor time does not.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import grpc
from google.api import annotations_pb2 as annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import field_mask_pb2 as field_mask_pb2
from google.protobuf import struct_pb2 as struct_pb2
from google.protobuf import timestamp_pb2 as timestamp_pb2
from google.protobuf.message import Message

from benchmarks.load import CONNECTIONS, Connections
from benchmarks.server import HOST, ROOT, Filled, Served, filled_console, web
from benchmarks.server import grpc as grpc_server

ROUNDS = 15
SECONDS = 1.0
WARM_UP_SECONDS = 2.0
DESCRIPTORS = ROOT / "vbase_console/rpc/proto/descriptors.binpb"
METHOD = "/dodil.vbase.v1.VBaseService/GetCluster"

Ask = Callable[[float], tuple[int, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interface:
    name: str
    server: Served
    ask: Ask
    """Sends requests for some seconds. Returns their number and the elapsed time."""

    def turn(self, seconds: float) -> tuple[float, float]:
        """Return requests per second, and milliseconds of processor time per request."""
        used = self.server.cpu_seconds()
        requests, elapsed = self.ask(seconds)
        return requests / elapsed, (self.server.cpu_seconds() - used) / requests * 1000


def message_types() -> list[type[Message]]:
    """Return request and answer of the call, without the settings of a console."""
    pool = descriptor_pool.Default()
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    names = ("GetClusterRequest", "GetClusterResponse")
    found = [pool.FindMessageTypeByName(f"dodil.vbase.v1.{name}") for name in names]
    return [message_factory.GetMessageClass(descriptor) for descriptor in found]


class Callers:
    """One gRPC connection per thread."""

    def __init__(self, port: int, filled: Filled) -> None:
        request, answer = message_types()
        self._request = request(
            organization_id=filled.organization_id, cluster_id=filled.cluster_id
        )
        self._metadata = [("authorization", f"Bearer {filled.key}")]
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.insecure_channel(f"{HOST}:{port}", options=options) for _ in range(CONNECTIONS)
        ]
        self._calls = [
            channel.unary_unary(
                METHOD,
                request_serializer=request.SerializeToString,
                response_deserializer=answer.FromString,
            )
            for channel in self._channels
        ]

    def ask(self, seconds: float) -> tuple[int, float]:
        counts = [0] * len(self._calls)
        began = time.perf_counter()

        def send(place: int, call: Any) -> None:
            while time.perf_counter() < began + seconds:
                call(self._request, metadata=self._metadata, timeout=30)
                counts[place] += 1

        threads = [threading.Thread(target=send, args=each) for each in enumerate(self._calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts), time.perf_counter() - began

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


def main() -> None:
    with (
        filled_console() as (environment, filled),
        web(environment) as rest,
        grpc_server(environment) as rpc,
    ):
        compare(rest, rpc, filled)


def compare(rest: Served, rpc: Served, filled: Filled) -> None:
    path = f"/v1/vbase/{filled.organization_id}/clusters/{filled.cluster_id}"
    headers = {"Authorization": f"Bearer {filled.key}"}
    callers = Callers(rpc.port, filled)

    def ask_rest(seconds: float) -> tuple[int, float]:
        # New connections: this web server closes those that are idle during the other turn.
        with Connections(HOST, rest.port, headers) as connections:
            return connections.ask(path, seconds)

    over_rest = Interface(name="REST", server=rest, ask=ask_rest)
    over_grpc = Interface(name="gRPC", server=rpc, ask=callers.ask)
    report([over_rest, over_grpc], measured(over_rest, over_grpc))
    callers.close()


def measured(*interfaces: Interface) -> dict[str, list[tuple[float, float]]]:
    turns: dict[str, list[tuple[float, float]]] = {each.name: [] for each in interfaces}
    for each in interfaces:
        each.ask(WARM_UP_SECONDS)
    for number in range(ROUNDS):
        for each in interfaces if number % 2 else reversed(interfaces):
            turns[each.name].append(each.turn(SECONDS))
    return turns


def report(interfaces: list[Interface], turns: dict[str, list[tuple[float, float]]]) -> None:
    print(f"GetCluster, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS:g} s each; medians:")
    for each in interfaces:
        rates, costs = zip(*turns[each.name], strict=True)
        print(
            f"  {each.name}  {median(rates):7.1f} requests/s  {median(costs):6.2f} CPU ms/request"
        )
    pairs = list(zip(turns["gRPC"], turns["REST"], strict=True))
    print(f"  rate of gRPC over that of REST {median(a[0] / b[0] for a, b in pairs):.2f}")
    print(f"  CPU of gRPC over that of REST  {median(a[1] / b[1] for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
