"""Calls need the cluster's token, and calls of the control service the console's credential."""

from __future__ import annotations

import base64
import ctypes
import hmac
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from pymilvus import MilvusException

from clusters.drivers.embedded.server.authentication import (
    CallerRole,
    Credentials,
    authorization,
    control_credential,
    fingerprint,
)
from tests.drivers.launched import CONTROL, TOKEN, Launched, encoded, raw_call

GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"
STREAM = "/milvus.proto.milvus.MilvusService/CreateReplicateStream"
HEALTH = "/vbase.launcher.Control/Health"
REFUSED = grpc.StatusCode.UNAUTHENTICATED


def test_it_lets_the_token_in(server: Launched) -> None:
    assert server.client().get_server_version().startswith("milvus_lite-")


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [""],
        [encoded("")],
        [encoded("wrong")],
        [encoded("root:Milvus")],
        [TOKEN],
        ["not base64 §"],
        [encoded(TOKEN), encoded("wrong")],
        [encoded(TOKEN + " ")],
        [base64.b64encode(b"\xff\xfe").decode()],
        [encoded(fingerprint(TOKEN))],
    ],
)
@pytest.mark.parametrize("method", [GET_VERSION, HEALTH, "/no.such.Service/Method"])
def test_it_refuses_every_other_credential(server: Launched, method: str, sent: list[str]) -> None:
    ascii_only = [value.encode("ascii", "ignore").decode() for value in sent]
    assert raw_call(server.port, method, *ascii_only) is REFUSED


def test_it_refuses_streams_before_their_first_message(server: Launched) -> None:
    assert raw_call(server.port, STREAM, encoded("wrong"), streaming=True) is REFUSED


@pytest.mark.parametrize("token", ["", "wrong", "root:Milvus"])
def test_pymilvus_cannot_connect_with_another_token(server: Launched, token: str) -> None:
    with pytest.raises(MilvusException):
        server.client(token=token, timeout=2)


def test_the_tenant_may_not_call_the_control_service(server: Launched) -> None:
    assert raw_call(server.port, HEALTH, encoded(TOKEN)) is grpc.StatusCode.PERMISSION_DENIED


def test_the_console_may_call_milvus_and_control(server: Launched) -> None:
    assert raw_call(server.port, GET_VERSION, encoded(CONTROL)) is grpc.StatusCode.OK
    assert server.control("Health")["ready"]


def test_an_unknown_method_is_unimplemented_for_the_tenant(server: Launched) -> None:
    code = raw_call(server.port, "/no.such.Service/Method", encoded(TOKEN))
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_rotation_holds_at_once_and_without_a_restart(launch: Callable[..., Launched]) -> None:
    launched = launch()
    launched.control("Rotate", token_sha256=fingerprint("another"))
    assert raw_call(launched.port, GET_VERSION, encoded(TOKEN)) is REFUSED
    assert raw_call(launched.port, GET_VERSION, encoded("another")) is grpc.StatusCode.OK


def test_nothing_secret_is_in_its_arguments_environment_or_files(server: Launched) -> None:
    secrets = [TOKEN, CONTROL, encoded(TOKEN), fingerprint(TOKEN), fingerprint(CONTROL)]
    process = psutil.Process(server.pid)
    seen = [json.dumps(process.cmdline()), json.dumps(process.environ())]
    files = [path for path in server.data_dir.rglob("*") if path.is_file()]
    seen += [path.read_bytes().decode("latin-1") for path in files]
    assert not [secret for secret in secrets for text in seen if secret in text]


def test_its_directories_and_files_are_the_owners_alone(server: Launched) -> None:
    paths = [server.data_dir, *server.data_dir.rglob("*")]
    assert not [path for path in paths if path.exists() and path.stat().st_mode & 0o077]


def test_it_listens_on_the_loopback_only(server: Launched) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process(server.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == {server.port}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_asked(
    launch: Callable[..., Launched], number: signal.Signals
) -> None:
    assert launch().end(number) == 0


def test_it_ends_cleanly_whichever_thread_the_signal_meets(
    launch: Callable[..., Launched],
) -> None:
    """The main one sleeps on, as it does when the signal comes while it falls asleep."""
    launched = launch()
    assert launched.process is not None
    others = {thread.id for thread in psutil.Process(launched.pid).threads()} - {launched.pid}
    assert ctypes.CDLL(None).tgkill(launched.pid, max(others), signal.SIGTERM) == 0
    assert launched.process.wait(60) == 0


def test_it_ends_cleanly_when_the_control_service_says_so(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    launched.control("Stop")
    assert launched.process is not None
    assert launched.process.wait(60) == 0


@pytest.mark.parametrize("sha256", ["", "0" * 63, "g" * 64, fingerprint("")])
def test_a_fingerprint_must_be_one(sha256: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Credentials(token_sha256=sha256, control_sha256=fingerprint("x"))


def test_roles_follow_the_credential() -> None:
    credentials = Credentials(token_sha256=fingerprint("t"), control_sha256=fingerprint("c"))
    roles = [credentials.role_of(authorization(each)) for each in ("t", "c", "other")]
    assert roles == [CallerRole.TENANT, CallerRole.CONSOLE, None]


@pytest.mark.parametrize("sent", ["t", "c", "other", ""])
def test_whatever_was_sent_both_comparisons_run_and_take_the_same_time(
    sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = Credentials(token_sha256=fingerprint("t"), control_sha256=fingerprint("c"))
    compare, compared = hmac.compare_digest, []

    def counted(offered: str, valid: str) -> bool:
        compared.append(valid)
        return compare(offered, valid)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    credentials.role_of(authorization(sent))
    assert compared == [fingerprint("t"), fingerprint("c")]


def test_each_cluster_has_a_control_credential_of_its_own() -> None:
    derived = {control_credential(key, each) for key in (b"1" * 32, b"2" * 32) for each in "ab"}
    assert len(derived) == 4


def test_a_second_launcher_on_the_same_directory_is_refused(
    server: Launched, tmp_path: Path
) -> None:
    second = Launched(server.data_dir)
    with pytest.raises(AssertionError, match="the launcher ended"):
        second.start()
    assert os.path.exists(server.data_dir / "process.json")
    assert server.control("Health")["ready"]
