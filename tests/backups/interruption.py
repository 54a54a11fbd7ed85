"""Workers that die: at the n-th effect, without a word, as after kill -9."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from vbase_console.tasks.attempts import Attempt
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

MOST_ATTEMPTS = 20


class Dead(BaseException):
    """Nothing catches it, and nothing is written after it."""


@contextmanager
def dying_at(effect: int) -> Iterator[None]:
    """Every effect on the world is announced by `guard` or `fenced`; the n-th never happens."""
    patch, seen = pytest.MonkeyPatch(), 0

    def counted(announced: Callable[[Attempt], Any]) -> Callable[[Attempt], Any]:
        def count(self: Attempt) -> Any:
            nonlocal seen
            seen += 1
            if seen == effect:
                raise Dead
            return announced(self)

        return count

    for name in ("guard", "fenced"):
        patch.setattr(Attempt, name, counted(getattr(Attempt, name)))
    try:
        yield
    finally:
        patch.undo()


def dies(task: Task, *, at: int) -> bool:
    """Return True if the attempt reached its n-th effect and was killed there."""
    with dying_at(at):
        try:
            run_task(task.task_id)
        except Dead:
            return True
    return False


def taken_over(task: Task) -> Task:
    """Its lease has ended; another worker takes it up and brings it to its end."""
    for _ in range(MOST_ATTEMPTS):
        past = timezone.now() - timedelta(seconds=1)
        Task.objects.filter(pk=task.pk, lease_until__isnull=False).update(lease_until=past)
        Task.objects.filter(pk=task.pk).update(not_before=past)
        run_task(task.task_id)
        task.refresh_from_db()
        if task.is_finished:
            return task
    raise AssertionError(f"It does not come to an end: {task.message}")
