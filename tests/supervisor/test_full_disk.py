"""A full disk of the supervisor ends no running process."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import wait_for
from vbase_console.supervisor import processes, startup
from vbase_console.supervisor.child import LOG_LIMIT_BYTES, Child, Program
from vbase_console.supervisor.group import Group

FULL = OSError(errno.ENOSPC, "No space left on device")


def fails(*arguments: object, **named: object) -> None:
    raise FULL


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def group(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    """With one child, which sleeps. What else this process has started is not its to reap."""
    monkeypatch.setattr(processes, "reap_adopted", lambda own: None)
    group = Group(tmp_path, tmp_path, said.append)
    sleeps = ("sleep", "infinity")  # what ends is ended by the test, or by the group
    group.start(
        [Program(name="sleeper", command=sleeps, environment=os.environ, directory=tmp_path)]
    )
    yield group
    group.stop(["sleeper"], timeout_seconds=5, hurried=lambda: False)


@pytest.fixture
def child(group: Group) -> Child:
    return group._children[0]


def test_a_child_is_started_again_although_that_cannot_be_written_down(
    group: Group, child: Child, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "record", fails)
    child._process.kill()  # type: ignore[union-attr]
    wait_for(lambda: group.tend() or any("runs again" in line for line in said))
    assert psutil.pid_exists(child.pid or 0)
    assert any("No space left" in line for line in said)


def test_a_child_that_cannot_be_started_is_tried_again(
    group: Group, child: Child, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as at_first:
        at_first.setattr(Child, "start", fails)
        child._process.kill()  # type: ignore[union-attr]
        wait_for(lambda: group.tend() or any("was not started" in line for line in said))
    wait_for(lambda: group.tend() or any("runs again" in line for line in said))


def test_a_log_that_cannot_be_copied_keeps_what_stands_in_it(
    group: Group, child: Child, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(child.log, LOG_LIMIT_BYTES + 1)
    older = child.log.with_suffix(".log.1")
    older.write_text("older")
    monkeypatch.setattr("shutil.copyfile", _half_a_copy)
    group.tend()
    assert any("No space left" in line for line in said)
    assert (child.log.stat().st_size, older.read_text()) == (LOG_LIMIT_BYTES + 1, "older")
    assert not child.log.with_suffix(".log.new").exists()


def _half_a_copy(source: Path, target: Path) -> None:
    target.write_text("half")
    raise FULL
