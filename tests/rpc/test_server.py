"""The server: metadata, errors, limits, deadlines, health, reflection and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from clusters import services
from clusters.models import Cluster
from tests.live import wait_for
from tests.rpc.client import METHODS, Caller
from tests.rpc.conftest import Running
from vbase_console.core.addresses import Listener
from vbase_console.core.listeners import console_listeners
from vbase_console.organizations.models import AuditEntry
from vbase_console.rpc import calls, public
from vbase_console.rpc import server as rpc_server
from vbase_console.tasks.models import Task

pytestmark = pytest.mark.django_db(transaction=True)


def refused(call: Callable[[], Any]) -> grpc.Call:
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert isinstance(error.value, grpc.Call)
    return error.value


def details(error: grpc.Call) -> dict[str, Any]:
    """The details of an error by the names of their types."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    found = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        packed.Unpack(detail)
        found[type(detail).__name__] = detail
    return found


def test_a_change_names_its_task_in_the_initial_metadata(caller: Caller) -> None:
    answered = caller.answered("CreateCluster", name="a")
    assert answered.metadata["operation-id"] == Task.objects.get().task_id


def test_a_repeated_key_is_answered_again_and_says_so(caller: Caller) -> None:
    key = {"idempotency-key": "once"}
    first = caller.answered("CreateCluster", metadata=key, name="a")
    second = caller.answered("CreateCluster", metadata=key, name="a")
    assert second.message == first.message
    assert second.metadata == first.metadata | {"idempotency-replayed": "true"}


def test_a_change_leaves_an_audit_row_of_the_interface(caller: Caller) -> None:
    caller.call("CreateCluster", name="a")
    entry = AuditEntry.objects.get()
    assert (entry.interface, entry.principal, entry.source) == ("grpc", "key:ci", "127.0.0.1")


def test_an_invalid_field_is_named_as_in_the_proto_file(caller: Caller) -> None:
    error = refused(lambda: caller.call("CreateCluster", resource_config={"compute_units": 99}))
    violations = details(error)["BadRequest"].field_violations
    assert {violation.field for violation in violations} == {
        "name",
        "resource_config.compute_units",
    }
    assert "resource_config.compute_units: " in (error.details() or "")


def test_every_error_has_its_reason(caller: Caller) -> None:
    error = refused(lambda: caller.call("GetService", service_id="svc-none"))
    info = details(error)["ErrorInfo"]
    assert (error.code(), info.reason, info.domain) == (
        grpc.StatusCode.NOT_FOUND,
        "NOT_FOUND",
        "dodil.vbase.v1",
    )


def test_a_time_to_wait_is_in_the_retry_info(
    caller: Caller, settings: Any, make_cluster: Callable[..., Cluster]
) -> None:
    cluster_id = make_cluster(running=False).cluster_id
    settings.MAX_WAITING_PER_CLUSTER = 1
    error = refused(lambda: caller.call("RestartCluster", cluster_id=cluster_id))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(error)["RetryInfo"].retry_delay.seconds > 0


def test_a_long_error_fits_into_the_metadata_of_every_client(caller: Caller) -> None:
    error = refused(lambda: caller.call("GetService", service_id="ü€😀" * 3000))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert (error.details() or "").endswith("…")


def test_an_id_that_no_path_can_have_is_not_found(caller: Caller) -> None:
    error = refused(lambda: caller.call("GetService", service_id="svc-a/access"))
    assert error.code() == grpc.StatusCode.NOT_FOUND


def test_an_omitted_organization_is_that_of_the_key(caller: Caller) -> None:
    assert caller.call("ListServices").total == 0


def test_a_field_of_a_newer_client_is_refused(caller: Caller) -> None:
    """A server that ignores `dry_run` would make the change."""
    path, method = METHODS["CreateCluster"]
    request = method.request(name="a").SerializeToString() + b"\xf8\x07\x01"  # field 127: true
    stub = caller.channel.unary_unary(path, response_deserializer=method.answer.FromString)
    error = refused(lambda: stub(request, metadata=caller.metadata, timeout=60))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "field 127" in (error.details() or "")


def test_bytes_that_are_no_message_are_refused_without_a_traceback(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    stub = channel.unary_unary(METHODS["CreateCluster"][0])
    error = refused(lambda: stub(b"\xff\xff", timeout=60))
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        calls.NOT_READABLE,
    )
    assert "Traceback" not in caplog.text


def test_a_message_above_the_limit_is_refused(caller: Caller) -> None:
    error = refused(lambda: caller.call("CreateCluster", name="a" * 2**21))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_compressed_message_is_refused(server: Running, api_key: str) -> None:
    options = [("grpc.default_compression_algorithm", grpc.Compression.Gzip.value)]
    with grpc.insecure_channel(server.address, options=options) as channel:
        error = refused(lambda: Caller(channel, api_key).call("CreateCluster", name="a" * 10_000))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.torture
def test_a_client_that_pings_every_ten_seconds_keeps_its_connection(server: Running) -> None:
    """As pymilvus does. A server with the library's defaults ends the connection after 40 s."""
    states: list[grpc.ChannelConnectivity] = []
    options = [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with grpc.insecure_channel(server.address, options=options) as channel:
        channel.subscribe(states.append, try_to_connect=True)
        wait_for(lambda: grpc.ChannelConnectivity.READY in states)
        threading.Event().wait(60)
        assert states[-1] == grpc.ChannelConnectivity.READY


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("ipv4:192.0.2.1:50000", "", 0, "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:50000", "", 0, "2001:db8::1"),
        ("ipv4:192.0.2.1:50000", "198.51.100.7", 0, "192.0.2.1"),
        ("ipv4:192.0.2.1:50000", "203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        ("ipv4:192.0.2.1:50000", "nonsense", 1, "192.0.2.1"),
        ("unix:", "", 0, ""),
    ],
)
def test_a_forwarded_address_is_believed_for_trusted_proxies_only(
    peer: str, forwarded: str, proxies: int, address: str, settings: Any
) -> None:
    settings.GRPC_TRUSTED_PROXIES = proxies
    assert calls.client_address(peer, {"x-forwarded-for": forwarded}) == address


def test_a_proxy_of_the_web_is_none_of_grpc(caller: Caller, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    caller.call("CreateCluster", metadata={"x-forwarded-for": "198.51.100.7"}, name="a")
    assert AuditEntry.objects.get().source == "127.0.0.1"


def test_a_tenant_cannot_attach_to_the_port_of_grpc(settings: Any) -> None:
    settings.GRPC_HOST, settings.GRPC_PORT = "127.0.0.1", 8001
    assert Listener(host="127.0.0.1", port=8001) in console_listeners()


def test_a_call_without_its_message_is_ended(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "RECEIVE_SECONDS", 0.1)
    path, method = METHODS["GetMe"]
    silent = threading.Event()

    def requests() -> Iterator[Any]:
        silent.wait(60)
        yield method.request()

    stub = caller.channel.stream_unary(path, request_serializer=method.request.SerializeToString)
    error = refused(lambda: stub(requests(), metadata=caller.metadata, timeout=60))
    silent.set()
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error.details() == calls.NOT_RECEIVED


class SlowCalls:
    """Calls that wait in their threads before they reach their endpoints."""

    def __init__(self) -> None:
        self.began, self.may_go_on, self.ended = (threading.Event() for _ in range(3))
        self._run = calls.UnaryCall.run

    def run(self, call: calls.UnaryCall) -> calls.Result:
        self.began.set()
        self.may_go_on.wait(60)
        try:
            return self._run(call)
        finally:
            self.ended.set()


@pytest.fixture
def slow_calls(monkeypatch: pytest.MonkeyPatch) -> SlowCalls:
    slow = SlowCalls()
    monkeypatch.setattr(calls.UnaryCall, "run", lambda call: slow.run(call))
    abandon = calls.UnaryCall.abandon
    monkeypatch.setattr(
        calls.UnaryCall, "abandon", lambda call: (abandon(call), slow.may_go_on.set())[0]
    )
    return slow


def test_a_call_that_is_cancelled_before_its_transaction_changes_nothing(
    caller: Caller, slow_calls: SlowCalls
) -> None:
    future = caller.begin("CreateCluster", name="a")
    assert slow_calls.began.wait(60)
    future.cancel()
    assert slow_calls.ended.wait(60)
    assert Cluster.objects.count() == 0
    assert AuditEntry.objects.get().detail.startswith("ABORTED: The client has cancelled")


def test_a_call_whose_deadline_passes_changes_nothing(
    caller: Caller, slow_calls: SlowCalls
) -> None:
    error = refused(lambda: caller.begin("CreateCluster", timeout=0.2, name="a").result())
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert slow_calls.ended.wait(60)
    assert Cluster.objects.count() == 0


def test_health_is_served_without_a_key(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "dodil.vbase.v1.VBaseService", "dodil.vbase.v1.VBaseConsoleService"):
        request = health_pb2.HealthCheckRequest(service=service)
        _wait_for_status(stub, request, health_pb2.HealthCheckResponse.SERVING)


def _wait_for_status(stub: Any, request: Any, status: int) -> None:
    for answer in stub.Watch(request, timeout=60):
        if answer.status == status:
            return


def test_health_says_that_the_database_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    monkeypatch.setattr(rpc_server, "_database_answers", lambda: False)
    running = Running().start()
    with grpc.insecure_channel(running.address) as channel:
        stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
        _wait_for_status(stub, request, health_pb2.HealthCheckResponse.NOT_SERVING)
    running.stop()


def test_one_client_cannot_open_all_health_streams(
    channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "MAX_STREAMS_PER_CLIENT", 1)
    stub = health_pb2_grpc.HealthStub(channel)
    first = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
    next(first)
    error = refused(lambda: next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=60)


def test_reflection_lists_the_services_without_a_key(channel: grpc.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answer = next(stub.ServerReflectionInfo(iter([request]), timeout=60))
    names = {service.name for service in answer.list_services_response.service}
    assert {"dodil.vbase.v1.VBaseService", "dodil.vbase.v1.VBaseConsoleService"} <= names


def test_a_stopping_server_finishes_the_calls_that_it_has_accepted(
    server: Running, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_called, may_go_on = threading.Event(), threading.Event()
    create = services.create_cluster

    def slow(*arguments: Any, **options: Any) -> Any:
        is_called.set()
        may_go_on.wait(60)
        return create(*arguments, **options)

    monkeypatch.setattr(services, "create_cluster", slow)
    future = caller.begin("CreateCluster", name="a")
    assert is_called.wait(60)
    server.begin_to_stop()
    may_go_on.set()
    assert future.result().cluster.name == "a"
