"""A child that dies is started again, and that is said."""

from __future__ import annotations

import httpx
import psutil
import pytest

from tests.live import Console, wait_for

PROGRAMS = {
    "broker": ("valkey-server",),
    "web": ("gunicorn",),
    "worker": ("celery", "worker", "tasks"),
    "sweeper": ("celery", "worker", "sweeps"),
    "beat": ("celery", "beat --pidfile"),
}


def restart(console: Console, name: str) -> list[psutil.Process]:
    """Kill it, and wait for the next one; what it had forked."""
    killed, since = console.leader(*PROGRAMS[name]), len(console.said)
    forked = killed.children()
    killed.kill()
    console.wait_until_said(f"{name} ended (killed by SIGKILL)", since)
    console.wait_until_said(f"{name} runs again (process ", since)
    assert wait_for(lambda: console.leader(*PROGRAMS[name])).pid != killed.pid
    return forked


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - {"worker", "broker", "web"}))
def test_a_killed_child_is_started_again(console: Console, name: str) -> None:
    """The three others are killed below, where more is asked of them."""
    restart(console, name)


def test_nothing_of_a_killed_worker_is_left(console: Console) -> None:
    wait_for(console.leader(*PROGRAMS["worker"]).children)
    forked = restart(console, "worker")
    assert forked
    assert not [process for process in forked if psutil.pid_exists(process.pid)]


def test_the_broker_comes_back_where_it_was(console: Console) -> None:
    file = console.data_dir / "run" / "broker_url"
    before = file.read_text()
    restart(console, "broker")
    assert file.read_text() == before


def test_web_answers_again(console: Console) -> None:
    restart(console, "web")
    assert wait_for(lambda: _status(console)) == 200


def _status(console: Console) -> int:
    try:
        return httpx.get(f"{console.url}/v1/vbase/healthz").status_code
    except httpx.TransportError:
        return 0
