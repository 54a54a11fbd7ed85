"""Reasons that prevent a start are printed before any process is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import PATIENCE_SECONDS, Console, a_console


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Console]:
    with a_console(tmp_path / "data", is_new=True) as other:
        yield other


def refused(console: Console) -> str:
    console.begin()
    assert console.process is not None
    assert console.process.wait(PATIENCE_SECONDS) == 1
    return "\n".join(console.said)


def test_a_second_console_on_the_same_data_is_refused(console: Console) -> None:
    second = Console(console.data_dir)
    assert console.process is not None
    assert f"process {console.process.pid}, {console.url}" in refused(second)


def test_it_leaves_the_first_one_alone(console: Console) -> None:
    before = {process.pid for process in console.processes()}
    refused(Console(console.data_dir))
    assert before <= {process.pid for process in console.processes()}


def test_a_busy_port_is_refused(other: Console) -> None:
    with socket.create_server(("127.0.0.1", other.port)):
        assert f"127.0.0.1:{other.port} cannot be used: Address already in use" in refused(other)
    assert not (other.data_dir / "console.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VBASE_PORT", "eighty", "VBASE_PORT is 'eighty'. It must be a whole number"),
        ("VBASE_LEASE_SECONDS", "0", "VBASE_LEASE_SECONDS is 0.0. It must be between"),
        ("VBASE_OWNER_EMAIL", "owner", "VBASE_OWNER_EMAIL is 'owner'. It must be an e-mail"),
        ("VBASE_BROKER_URL", "nats://x", "VBASE_BROKER_URL must begin with redis://"),
        ("VBASE_HOST", "192.0.2.1", "Choose another VBASE_PORT or VBASE_HOST"),
        ("VBASE_DATA_DIR", "/proc/nowhere", "Set VBASE_DATA_DIR to a directory"),
    ],
)
def test_a_wrong_setting_is_named(other: Console, name: str, value: str, message: str) -> None:
    other.environment[name] = value
    said = refused(other)
    assert message in said
    assert "Traceback" not in said


def test_a_password_that_cannot_be_read_is_named(other: Console) -> None:
    other.environment["VBASE_OWNER_PASSWORD_FILE"] = "/nowhere"
    said = refused(other)
    assert "VBASE_OWNER_PASSWORD_FILE names /nowhere, which cannot be read" in said
    assert other.processes() == []
    assert not (other.data_dir / "static").exists(), "something was prepared"
