"""The gRPC interface of a running console: the whole journey, a killed worker, its port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from tests.live import PROJECT, Api, Console, a_console, wait_for
from tests.rpc.client import Caller
from vbase_console.rpc.methods import PROTO


@pytest.fixture
def channel(console: Console) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{console.grpc_port}") as channel:
        yield channel


@pytest.fixture
def api(console: Console) -> Api:
    return console.api()


@pytest.fixture
def caller(channel: grpc.Channel, api: Api) -> Caller:
    return Caller(channel, api.key)


def published(directory: Path) -> Path:
    """A copy of nothing but the proto files."""
    ignored = shutil.ignore_patterns("*.binpb")
    return Path(shutil.copytree(PROTO, directory / "proto", ignore=ignored))


def test_a_client_generated_from_the_published_files_does_the_whole_journey(
    console: Console, api: Api, tmp_path: Path
) -> None:
    script = shutil.copy(PROJECT / "examples" / "grpc_client.py", tmp_path)
    options = ["--address", f"127.0.0.1:{console.grpc_port}", "--proto", str(published(tmp_path))]
    done = subprocess.run(
        [sys.executable, script, *options],
        cwd=tmp_path,
        env={"VBASE_API_KEY": api.key, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  resource_config.compute_units: " in done.stdout
    assert "100 rows are restored." in done.stdout
    assert done.stdout.endswith("Done.\n")


def test_a_stream_outlives_a_killed_worker(console: Console, caller: Caller, api: Api) -> None:
    cluster = api.created("watched")
    for _ in range(10):  # a restart may end before its worker is killed
        restarted = caller.answered("RestartCluster", cluster_id=cluster["clusterId"])
        task_id = restarted.metadata["operation-id"]
        states = caller.watch(task_id)
        last = next(state for state in states if state.started_at.seconds)
        for process in console.processes_like("celery", "tasks-"):
            process.kill()
        last = [last, *states][-1]
        assert last.progress == 100
        if max(event["attempt"] for event in api.events(cluster, task_id)) > 1:
            break
    else:
        raise AssertionError("Every restart had ended before its worker was killed.")
    caller.call("DeleteCluster", cluster_id=cluster["clusterId"])


def test_the_access_log_has_no_secret(console: Console, caller: Caller, api: Api) -> None:
    caller.call("GetMe")
    log = (console.data_dir / "logs" / "grpc.log").read_text()
    assert "GetMe: OK, key:" in log
    assert api.key not in log


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Console]:
    with a_console(tmp_path / "data", VBASE_CLUSTER_DRIVER="memory") as console:
        yield console


@contextmanager
def _the_port_behind(console: Console) -> Iterator[None]:
    """Hold the default port of gRPC. A port that another program holds is as good."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", console.port + 1)))
        yield


def test_a_taken_default_port_is_told_and_the_console_starts(other: Console) -> None:
    del other.environment["VBASE_GRPC_PORT"]
    with _the_port_behind(other):
        other.begin()
        other.wait_until_said(f"gRPC is not served. 127.0.0.1:{other.port + 1} cannot be used")
        assert "grpc" not in other.wait_until_said("Started broker")


def test_a_taken_port_that_was_chosen_is_refused(other: Console) -> None:
    with socket.create_server(("127.0.0.1", other.grpc_port)):
        other.begin()
        other.wait_until_said("Choose another VBASE_GRPC_PORT")
    wait_for(lambda: not other.is_running())


def test_one_file_of_tls_alone_is_refused(other: Console) -> None:
    other.environment["VBASE_GRPC_TLS_CERT"] = __file__
    other.begin()
    other.wait_until_said("VBASE_GRPC_TLS_KEY is not set")
