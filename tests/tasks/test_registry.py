"""Jobs name their handlers; a dotted path is imported by the first attempt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tasks.trials import KIND, Trial, again
from vbase_console.organizations.scopes import ANY_MEMBER
from vbase_console.tasks import registry
from vbase_console.tasks.models import Task
from vbase_console.tasks.registry import Job
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]

HANDLERS = """
from vbase_console.tasks.errors import JobFailed

def run(attempt):
    raise JobFailed("the disk is full.", permanent=True)

def undo(attempt):
    attempt.warn("Removed what was written.")
"""


@pytest.fixture
def lazy_job(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    (tmp_path / "lazy_handlers.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lazy_handlers", raising=False)
    job = Job(kind=KIND, scope=ANY_MEMBER, handler="lazy_handlers.run", undo="lazy_handlers.undo")
    monkeypatch.setitem(registry._jobs, KIND, job)
    return job


def test_a_handler_is_imported_by_the_first_attempt(ask: Ask, lazy_job: Job) -> None:
    task = ask()
    assert "lazy_handlers" not in sys.modules
    run_task(task.task_id)
    ended = again(task)
    assert (ended.state, ended.message) == ("FAILED", "the disk is full.")
    assert ended.warnings == ["Removed what was written."]


def test_two_jobs_of_one_kind_are_refused(lazy_job: Job) -> None:
    other = Job(kind=KIND, scope=ANY_MEMBER, handler="other.run")
    with pytest.raises(ValueError, match=KIND):
        registry.register(other)
