"""The first `make run` of a new user."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import httpx
import psutil
import pytest
import redis

from tests.live import Console, generated_password
from vbase_console.supervisor.processes import is_alive


def test_it_prints_the_address_the_sign_in_and_the_next_step(console: Console) -> None:
    said = "\n".join(console.said)
    assert console.url in said
    assert "Sign in as owner@example.com with the password" in said
    assert "manage.py issue_api_key --organization demo" in said


def test_the_printed_password_signs_in(console: Console) -> None:
    with httpx.Client(base_url=console.url, follow_redirects=True) as browser:
        page = browser.get("/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {
            "csrfmiddlewaretoken": token.group(1),
            "username": "owner@example.com",
            "password": generated_password(console.said),
        }
        answer = browser.post("/sign-in", data=form, headers={"Referer": console.url})
        assert "/o/demo" in str(answer.url)


@pytest.mark.parametrize("path", ["/sign-in", "/api/docs/"])
def test_every_asset_of_a_page_is_served(console: Console, path: str) -> None:
    with httpx.Client(base_url=console.url) as browser:
        named = re.findall(r'(?:src|href)="(/static/[^"]+)"', browser.get(path).text)
        answers = {asset: browser.get(asset).status_code for asset in named}
    assert answers
    assert set(answers.values()) == {200}, answers


def test_the_printed_password_is_written_nowhere(console: Console) -> None:
    password = generated_password(console.said).encode()
    files = [path for path in console.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if password in path.read_bytes()]


def test_only_the_owner_can_read_what_is_in_the_data_directory(console: Console) -> None:
    paths = [console.data_dir, *console.data_dir.glob("*"), *console.data_dir.glob("*/*")]
    readable = [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    assert [path for path in readable if not _is_static(path, console)] == []


def _is_static(path: Path, console: Console) -> bool:
    """True for files that every visitor may read; their directory is closed to others."""
    return path.is_relative_to(console.data_dir / "static") and path.name != "static"


def test_every_process_says_which_data_directory_it_belongs_to(console: Console) -> None:
    assert console.process is not None
    family = psutil.Process(console.process.pid).children(recursive=True)
    named = console.processes()
    assert not [each for each in family if each not in named and is_alive(each)]


@pytest.mark.parametrize("secret", ["secret_key", "broker_password"])
def test_no_secret_stands_in_a_command_line_or_an_environment(
    console: Console, secret: str
) -> None:
    text = (console.data_dir / "secrets" / secret).read_text()
    for process in console.processes():
        assert text not in " ".join(process.cmdline())
        assert text not in str(process.environ())


def test_worker_and_beat_are_known_by_their_command_lines(console: Console) -> None:
    assert console.leader("celery", "worker", "tasks")
    assert console.leader("celery", "beat --pidfile")


def test_the_broker_refuses_whoever_has_no_password(console: Console) -> None:
    port = int((console.data_dir / "run" / "broker_url").read_text().rsplit(":")[-1].split("/")[0])
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
