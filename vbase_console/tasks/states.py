"""The states of a task and its legal moves, as data: the code, the diagram in docs/states.md and
the tests read this.
"""

from __future__ import annotations

from django.db import models


class TaskState(models.TextChoices):
    PENDING = "PENDING"
    """Accepted; waits for a worker, for its turn, or for the pause after a passing error."""
    RUNNING = "RUNNING"
    """An attempt holds the lease."""
    CANCELLING = "CANCELLING"
    """An attempt holds the lease and was asked to stop at its next safe point."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


S = TaskState
TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    # RUNNING → RUNNING and CANCELLING → CANCELLING: another worker takes over from a dead one.
    # PENDING → CANCELLING: somebody wants it stopped in the pause after a passing error; what its
    # earlier attempts began is cleaned up first.
    S.PENDING: frozenset({S.RUNNING, S.CANCELLING, S.CANCELLED}),
    S.RUNNING: frozenset({S.RUNNING, S.PENDING, S.CANCELLING, S.SUCCEEDED, S.FAILED}),
    # CANCELLING → PENDING: its cleaning up failed, and is tried again after a pause.
    S.CANCELLING: frozenset({S.CANCELLING, S.PENDING, S.CANCELLED, S.SUCCEEDED, S.FAILED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}

LEASED = (S.RUNNING, S.CANCELLING)
ACTIVE = (S.PENDING, S.RUNNING, S.CANCELLING)
FINISHED = (S.SUCCEEDED, S.FAILED, S.CANCELLED)


def sources_of(target: TaskState) -> list[TaskState]:
    """The states from which a task may become `target`."""
    return [state for state, nexts in TRANSITIONS.items() if target in nexts]
