"""States of a task and their legal moves, as data for the code, docs/states.md and the tests."""

from __future__ import annotations

from django.db import models


class TaskState(models.TextChoices):
    PENDING = "PENDING"
    """Waits for a worker, for its lock, or for the end of the pause after a temporary error."""
    RUNNING = "RUNNING"
    """An attempt holds the lease."""
    CANCELLING = "CANCELLING"
    """An attempt holds the lease and must stop at its next safe point."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


S = TaskState
TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    # RUNNING → RUNNING and CANCELLING → CANCELLING: a worker takes over an expired lease.
    # PENDING → CANCELLING: a cancellation in the pause after a temporary error; the changes of
    # earlier attempts are undone first.
    S.PENDING: frozenset({S.RUNNING, S.CANCELLING, S.CANCELLED}),
    S.RUNNING: frozenset({S.RUNNING, S.PENDING, S.CANCELLING, S.SUCCEEDED, S.FAILED}),
    # CANCELLING → PENDING: the undo failed and is retried after a pause.
    S.CANCELLING: frozenset({S.CANCELLING, S.PENDING, S.CANCELLED, S.SUCCEEDED, S.FAILED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}

TASK_ID_PREFIX = "task"

LEASED = (S.RUNNING, S.CANCELLING)
ACTIVE = (S.PENDING, S.RUNNING, S.CANCELLING)
FINISHED = (S.SUCCEEDED, S.FAILED, S.CANCELLED)


def sources_of(target: TaskState) -> list[TaskState]:
    return [state for state, targets in TRANSITIONS.items() if target in targets]
