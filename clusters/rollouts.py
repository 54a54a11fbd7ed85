"""Rollouts: upgrade several clusters to one version, one at a time, until the first failure.

The transaction that ends a task also ends its step, and a later transaction begins the next step,
so that no transaction locks two clusters. docs/engine-versions.md describes the failure cases.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone

from clusters.admission import RETRY_AFTER_SECONDS, refuse_deleted, unfinished
from clusters.models import Cluster, Rollout, RolloutStep
from clusters.services import admit_change, scale_cluster
from clusters.states import (
    UNFINISHED_STEPS,
    RolloutState,
    StepState,
    TaskKind,
    rollout_state_of,
)
from vbase_console.core.errors import (
    Aborted,
    ConsoleError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.tenancy import Principal
from vbase_console.organizations.versions import changed
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

logger = logging.getLogger(__name__)
failures = LogThrottle(minutes=10)

MAX_CLUSTERS = 200
MAX_NAMED = 5
"""Clusters that a refusal names."""


def clusters_of(principal: Principal, cluster_ids: Sequence[str]) -> list[Cluster]:
    """Return the visible clusters of a rollout, in the given order. Raises NotFound otherwise."""
    if not cluster_ids:
        raise InvalidArgument(field_errors={"cluster_ids": ["Give at least one cluster."]})
    if len(cluster_ids) > MAX_CLUSTERS:
        text = f"Give at most {MAX_CLUSTERS} clusters."
        raise InvalidArgument(field_errors={"cluster_ids": [text]})
    repeated = [cluster_id for cluster_id, count in Counter(cluster_ids).items() if count > 1]
    if repeated:
        text = f"Give each cluster once. Repeated: {', '.join(repeated[:MAX_NAMED])}."
        raise InvalidArgument(field_errors={"cluster_ids": [text]})
    known = Cluster.objects.visible_to(principal).in_bulk(cluster_ids)
    missing = [cluster_id for cluster_id in cluster_ids if cluster_id not in known]
    if missing:
        raise NotFound(f"Cluster '{missing[0]}' not found.")
    return [known[cluster_id] for cluster_id in cluster_ids]


def refusals(
    clusters: Sequence[Cluster], version: str, *, backup_first: bool
) -> dict[str, ConsoleError]:
    """Return the clusters whose upgrade would be refused now, with the reasons.

    The number of queries does not depend on the number of clusters.
    """
    waiting = _unfinished_by_cluster(clusters)
    busy = {
        step.cluster_id: step.rollout_id
        for step in RolloutStep.objects.filter(cluster__in=clusters, state__in=UNFINISHED_STEPS)
    }
    found: dict[str, ConsoleError] = {}
    for cluster in clusters:
        key = cluster.cluster_id
        try:
            if key in busy:
                raise Aborted(f"{key} is part of {busy[key]}. Wait until that rollout has ended.")
            changes = {"version": version}
            admit_change(cluster, waiting[key], changes, backup_first=backup_first)
        except ConsoleError as error:
            found[key] = error
    return found


def create_rollout(
    principal: Principal, *, cluster_ids: Sequence[str], version: str, backup_first: bool = True
) -> Rollout:
    """Upgrade clusters one at a time, in the given order. The first step begins after the commit.

    Raises an error that names the clusters which cannot be upgraded now. Nothing is begun then.
    """
    clusters = clusters_of(principal, cluster_ids)
    refused = refusals(clusters, version, backup_first=backup_first)
    if refused:
        raise _refusal(refused)
    rollout = Rollout(
        organization_id=principal.organization_id,
        version=version,
        backup_first=backup_first,
        requested_by=principal.label,
    )
    steps = [
        RolloutStep(
            rollout=rollout, position=position, cluster=cluster, from_version=cluster.version
        )
        for position, cluster in enumerate(clusters, start=1)
    ]
    # In one order, so that two requests with the same clusters cannot wait for each other.
    steps.sort(key=lambda step: step.cluster_id)
    try:
        with transaction.atomic():
            rollout.save(force_insert=True)
            RolloutStep.objects.bulk_create(steps)
            _changed(rollout)
            transaction.on_commit(lambda: advance(rollout.pk), robust=True)
    except IntegrityError as error:
        raise Aborted(
            "Another rollout with one of these clusters was requested at the same time. "
            "Wait until it has ended."
        ) from error
    return rollout


@transaction.atomic
def cancel_rollout(rollout: Rollout, *, by: str) -> Rollout:
    """Cancel the steps that have not begun. A running upgrade continues."""
    rollout = Rollout.objects.locked(rollout.pk)
    waiting = rollout.steps.filter(state=StepState.WAITING)
    message = f"Cancelled by {by} before its turn."
    if not waiting.update(state=StepState.NOT_BEGUN, message=message, finished_at=timezone.now()):
        running = rollout.steps.filter(state=StepState.RUNNING).first()
        if running is None:
            raise FailedPrecondition(f"{rollout.rollout_id} has already ended: {rollout.state}.")
        raise FailedPrecondition(
            f"All steps of {rollout.rollout_id} have begun. Cancel {running.task_id}, the running "
            "upgrade, instead."
        )
    _settle(rollout)
    return rollout


def advance(rollout_id: str) -> None:
    """Begin the next step, unless one is running. May be called at any time, by any process."""
    while (step := _due_step(rollout_id)) is not None and _begin(step):
        pass


def advance_all() -> int:
    """Begin all due steps whose process ended before it began them. Returns the number of
    unfinished rollouts.
    """
    due = Rollout.objects.unfinished().of_real_organizations().order_by("created_at")
    rollout_ids = list(due.values_list("pk", flat=True))
    for rollout_id in rollout_ids:
        try:
            advance(rollout_id)
        except Exception as error:  # one rollout must not stop the others
            if failures.should_log(rollout_id, error):
                logger.exception("%s: next step not begun, will be retried", rollout_id)
    return len(rollout_ids)


def end_step(task: Task) -> None:
    """End the step of a finished task, in the transaction that ends the task.

    The caller has locked the cluster's row.
    """
    step = RolloutStep.objects.filter(task_id=task.task_id, state=StepState.RUNNING).first()
    if step is None:
        return
    rollout = Rollout.objects.locked(step.rollout_id)
    _move(step, _STATE_AFTER[TaskState(task.state)], task.message)
    _settle(rollout)


def continue_after(*, task: Task, **signal: object) -> None:
    """Begin the step after that of a finished task. Receiver of `task_finished`."""
    if task.kind != TaskKind.VERSION_UPGRADE:
        return
    step = RolloutStep.objects.filter(task_id=task.task_id).first()
    if step is not None:
        advance(step.rollout_id)


def summary_of(steps: Iterable[RolloutStep]) -> str:
    """State in a sentence which clusters are upgraded, failed and not begun."""
    by_state: Mapping[str, list[str]] = defaultdict(list)
    for step in steps:
        by_state[step.state].append(step.cluster.name)
    parts = [f"Upgraded: {len(by_state[StepState.SUCCEEDED])}."]
    for state, words in _NAMED_STATES.items():
        if names := by_state[state]:
            more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
            parts.append(f"{words}: {', '.join(names[:MAX_NAMED])}{more}.")
    return " ".join(parts)


_NAMED_STATES = {
    StepState.RUNNING: "Running",
    StepState.WAITING: "Waiting",
    StepState.FAILED: "Failed",
    StepState.CANCELLED: "Cancelled",
    StepState.NOT_BEGUN: "Not begun",
}
_STATE_AFTER = {
    TaskState.SUCCEEDED: StepState.SUCCEEDED,
    TaskState.FAILED: StepState.FAILED,
    TaskState.CANCELLED: StepState.CANCELLED,
}


def _due_step(rollout_id: str) -> RolloutStep | None:
    """Return the first waiting step, or None while a step runs."""
    steps = RolloutStep.objects.filter(rollout=rollout_id)
    if steps.filter(state=StepState.RUNNING).exists():
        return None
    return steps.filter(state=StepState.WAITING).order_by("position").first()


@transaction.atomic
def _begin(step: RolloutStep) -> bool:
    """Begin a step that is due. Returns False if another process has begun it, or if the
    organization has too many unfinished tasks now.
    """
    cluster = Cluster.objects.locked(step.cluster_id)
    rollout = Rollout.objects.locked(step.rollout_id)
    if _due_step(rollout.pk) != step:
        return False
    try:
        with transaction.atomic():
            task = _request(step, rollout, cluster)
    except ResourceExhausted as error:
        logger.info("%s: step %s waits: %s", rollout.pk, step.position, error.message)
        return False
    except ConsoleError as error:
        _move(step, StepState.FAILED, error.message)
    else:
        if task is None:
            _move(step, StepState.SUCCEEDED, f"{cluster.name} had version {rollout.version}.")
        else:
            _move(step, StepState.RUNNING, task_id=task.task_id)
    _settle(rollout)
    return True


def _request(step: RolloutStep, rollout: Rollout, cluster: Cluster) -> Task | None:
    """Request the upgrade. Returns None if the cluster was upgraded meanwhile."""
    refuse_deleted(cluster)
    is_changing = any(task.kind == TaskKind.VERSION_UPGRADE for task in unfinished(cluster))
    if cluster.version == rollout.version and not is_changing:
        return None
    return scale_cluster(
        cluster,
        changes={"version": rollout.version},
        by=rollout.requested_by,
        backup_first=rollout.backup_first,
        reason=f"Step {step.position} of {rollout.rollout_id}.",
    )


def _move(step: RolloutStep, state: StepState, message: str = "", *, task_id: str = "") -> None:
    """Change the state of a step. The caller has locked the rollout."""
    now = timezone.now()
    if state is StepState.RUNNING:
        changes: dict[str, object] = {"task_id": task_id, "started_at": now}
    else:
        changes = {"finished_at": now}
    RolloutStep.objects.filter(pk=step.pk).update(state=state, message=message, **changes)


def _settle(rollout: Rollout) -> None:
    """Stop at a failure, and store the state. The caller has locked the rollout."""
    steps, now = rollout.steps.all(), timezone.now()
    if steps.filter(state__in=[StepState.FAILED, StepState.CANCELLED]).exists():
        message = "The rollout stopped before its turn."
        waiting = steps.filter(state=StepState.WAITING)
        waiting.update(state=StepState.NOT_BEGUN, message=message, finished_at=now)
    rollout.state = rollout_state_of(list(steps.values_list("state", flat=True)))
    rollout.finished_at = None if rollout.state == RolloutState.RUNNING else now
    rollout.save(update_fields=["state", "finished_at"])
    _changed(rollout)


def _changed(rollout: Rollout) -> None:
    changed(rollout.organization_id)


def _unfinished_by_cluster(clusters: Sequence[Cluster]) -> Mapping[str, list[Task]]:
    tasks = Task.objects.filter(
        subject_id__in=[cluster.cluster_id for cluster in clusters], kind__in=TaskKind.values
    )
    found: Mapping[str, list[Task]] = defaultdict(list)
    for task in tasks.active().in_queue_order():
        found[task.subject_id].append(task)
    return found


def _refusal(refused: Mapping[str, ConsoleError]) -> ConsoleError:
    """Combine refusals of several clusters. A code that all of them have is kept."""
    reasons = [f"{cluster_id}: {reason_of(error)}" for cluster_id, error in refused.items()]
    text = " ".join(reasons[:MAX_NAMED])
    if len(reasons) > MAX_NAMED:
        text += f" {len(reasons) - MAX_NAMED} more cannot be upgraded."
    if all(isinstance(error, InvalidArgument) for error in refused.values()):
        return InvalidArgument(field_errors={"version": [text]})
    if all(isinstance(error, Aborted) for error in refused.values()):
        return Aborted(text, retry_after_seconds=RETRY_AFTER_SECONDS)
    return FailedPrecondition(text)


def reason_of(error: ConsoleError) -> str:
    """Return the reason of a refusal without the names of fields."""
    if isinstance(error, InvalidArgument) and error.field_errors:
        return " ".join(text for texts in error.field_errors.values() for text in texts)
    return error.message
