"""States, task kinds and admission of clusters, and states of rollouts, as data.

`status_of` derives a cluster's status from the last observation and the unfinished tasks.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from django.db import models


class ServiceStatus(models.TextChoices):
    UNKNOWN = "UNKNOWN"
    """The driver could not observe the cluster."""
    CREATING = "CREATING"
    RUNNING = "RUNNING"
    """A health call over the wire succeeded."""
    UPDATING = "UPDATING"
    """Restarting, starting or changing the version."""
    RESIZING = "RESIZING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DELETING = "DELETING"
    DELETED = "DELETED"
    UPDATE_FAILED = "UPDATE_FAILED"
    """The cluster answers, but its last change failed. The status message names the reason."""
    ERROR = "ERROR"
    """The cluster does not answer, and no task is unfinished that would change this."""


class TaskKind(models.TextChoices):
    DEPLOYMENT = "DEPLOYMENT"
    SCALING = "SCALING"
    VERSION_UPGRADE = "VERSION_UPGRADE"
    RESTART = "RESTART"
    DELETION = "DELETION"
    STOP = "STOP"
    START = "START"


class Condition(models.TextChoices):
    """Last observation of a cluster, by a job or by the reconciler."""

    ABSENT = "ABSENT"
    """Not deployed yet."""
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    BROKEN = "BROKEN"
    """The cluster should answer and does not."""
    GONE = "GONE"
    """Process, data and port are removed."""
    UNSEEN = "UNSEEN"
    """The driver could not observe the cluster."""


S, K, C = ServiceStatus, TaskKind, Condition

STATUS_WHILE: dict[TaskKind, ServiceStatus] = {
    K.DEPLOYMENT: S.CREATING,
    K.SCALING: S.RESIZING,
    K.VERSION_UPGRADE: S.UPDATING,
    K.RESTART: S.UPDATING,
    K.START: S.UPDATING,
    K.STOP: S.STOPPING,
    K.DELETION: S.DELETING,
}
STATUS_AT_REST: dict[Condition, ServiceStatus] = {
    C.ABSENT: S.ERROR,
    C.RUNNING: S.RUNNING,
    C.STOPPED: S.STOPPED,
    C.BROKEN: S.ERROR,
    C.GONE: S.DELETED,
    C.UNSEEN: S.UNKNOWN,
}
BUSY = frozenset(STATUS_WHILE.values())
ENDED = frozenset({S.DELETING, S.DELETED})


def status_of(condition: str, active: Sequence[str], *, change_failed: bool) -> ServiceStatus:
    """Derive the status from the condition and the kinds of unfinished tasks, in queue order.

    Tasks of other apps, such as backups, do not affect the status.
    """
    if C(condition) is C.GONE:
        return S.DELETED
    if K.DELETION in active:
        return S.DELETING
    if active:
        return STATUS_WHILE[K(active[0])]
    if change_failed and C(condition) is C.RUNNING:
        return S.UPDATE_FAILED
    return STATUS_AT_REST[C(condition)]


class Admission(enum.StrEnum):
    """Effect of an unfinished task on a new request for the same cluster."""

    WAIT = "waits for the end of the unfinished task"
    ABORT = "is refused"
    OVERTAKE = "cancels the unfinished task and runs next"


# requested kind → unfinished kind → admission; WAIT if the kind is missing
ADMISSION: dict[TaskKind, dict[TaskKind, Admission]] = {
    K.SCALING: {K.DELETION: Admission.ABORT},
    K.VERSION_UPGRADE: {K.DELETION: Admission.ABORT},
    K.RESTART: {K.DELETION: Admission.ABORT},
    K.STOP: {K.DELETION: Admission.ABORT},
    K.START: {K.DELETION: Admission.ABORT},
    K.DELETION: {kind: Admission.OVERTAKE for kind in K if kind is not K.DELETION}
    | {K.DELETION: Admission.ABORT},
}


def admission(requested: TaskKind, unfinished: TaskKind) -> Admission:
    return ADMISSION.get(requested, {}).get(unfinished, Admission.WAIT)


RUNS_AFTER: dict[TaskKind, bool] = {
    K.DEPLOYMENT: True,
    K.RESTART: True,
    K.START: True,
    K.STOP: False,
    K.DELETION: False,
}
"""Desired state after a task has succeeded. Other kinds do not change it."""


class RolloutState(models.TextChoices):
    RUNNING = "RUNNING"
    """A step waits or runs."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StepState(models.TextChoices):
    """State of one cluster in a rollout."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    """Its task is unfinished."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    """Its task was cancelled."""
    NOT_BEGUN = "NOT_BEGUN"
    """The rollout ended before its turn."""


STEP_TRANSITIONS: dict[StepState, frozenset[StepState]] = {
    StepState.WAITING: frozenset(
        {StepState.RUNNING, StepState.SUCCEEDED, StepState.FAILED, StepState.NOT_BEGUN}
    ),
    StepState.RUNNING: frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED}),
    StepState.SUCCEEDED: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
    StepState.NOT_BEGUN: frozenset(),
}
UNFINISHED_STEPS = tuple(state for state, nexts in STEP_TRANSITIONS.items() if nexts)


def rollout_state_of(steps: Sequence[str]) -> RolloutState:
    """Derive the state of a rollout from the states of its steps."""
    if set(steps) & set(UNFINISHED_STEPS):
        return RolloutState.RUNNING
    if StepState.FAILED in steps:
        return RolloutState.FAILED
    if set(steps) == {StepState.SUCCEEDED}:
        return RolloutState.SUCCEEDED
    return RolloutState.CANCELLED
