"""The gRPC interface of a running console."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from tests.live import Api, Console
from tests.rpc.client import Caller


@pytest.fixture
def channel(console: Console) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{console.grpc_port}") as channel:
        yield channel


@pytest.fixture
def api(console: Console) -> Api:
    return console.api()


def test_make_run_serves_get_cluster(channel: grpc.Channel, api: Api) -> None:
    cluster = api.create("over grpc")
    answer = Caller(channel, api.key).call("GetCluster", cluster_id=cluster["clusterId"])
    assert answer.cluster.name == "over grpc"
