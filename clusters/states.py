"""What a cluster's status means, which task kind shows as which status, and which request waits or
is refused: data.

`status_of` derives a cluster's status from what is observed and what is under way; nothing else
decides it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from django.db import models


class ServiceStatus(models.TextChoices):
    UNKNOWN = "UNKNOWN"
    """Nobody could look for a while."""
    CREATING = "CREATING"
    RUNNING = "RUNNING"
    """A health call over the wire succeeded."""
    UPDATING = "UPDATING"
    """Restarting, starting, or changing its version."""
    RESIZING = "RESIZING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DELETING = "DELETING"
    DELETED = "DELETED"
    UPDATE_FAILED = "UPDATE_FAILED"
    """It answers, but its last change failed; the status message says how."""
    ERROR = "ERROR"
    """It does not answer and nothing is under way that would change that."""


class TaskKind(models.TextChoices):
    DEPLOYMENT = "DEPLOYMENT"
    SCALING = "SCALING"
    VERSION_UPGRADE = "VERSION_UPGRADE"
    RESTART = "RESTART"
    DELETION = "DELETION"
    STOP = "STOP"
    START = "START"


class Condition(models.TextChoices):
    """What was last seen of a cluster, by a job or by the reconciler."""

    ABSENT = "ABSENT"
    """Not made yet."""
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    BROKEN = "BROKEN"
    """It should answer and does not."""
    GONE = "GONE"
    """Process, data and port are removed."""
    UNSEEN = "UNSEEN"
    """The driver could not look."""


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
    """The status of a cluster in `condition` whose unfinished tasks, in turn order, are of the
    kinds `active`. What others do with it (backups) is no change of it and does not show.
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
    """What happens to a request that finds a task of some kind unfinished on the same cluster."""

    WAIT = "waits its turn"
    ABORT = "is refused: ABORTED"
    OVERTAKE = "asks the other to stop and goes next"


# requested kind → unfinished kind → answer. A kind that is not named waits.
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


# After which tasks a cluster is expected to run or to stand still, whatever it does now.
RUNS_AFTER: dict[TaskKind, bool] = {
    K.DEPLOYMENT: True,
    K.RESTART: True,
    K.START: True,
    K.STOP: False,
    K.DELETION: False,
}
