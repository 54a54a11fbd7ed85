"""Services of policies: create, change, run and delete one; release a backup.

Each service locks the cluster's row and then the policy's row.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any, Unpack

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone as clock

from backups.discovery import require_database
from backups.models import Backup, BackupJob
from backups.names import DEFAULT_DATABASE
from backups.observers import PolicySummary
from backups.policies import beat_mirror, observers
from backups.policies.cron import Cron, next_after, parse, zone_of
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.runs import start_run
from backups.policies.validation import (
    SPEC_FIELDS,
    PolicyChanges,
    PolicySpec,
    default_name,
    has_default_name,
)
from backups.services.locks import lock_backup, require_available
from clusters.admission import refuse_ending, unfinished
from clusters.milvus_names import Kind, refusal_of_any_server
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    Unavailable,
)
from vbase_console.core.prepared import PreparedByIds
from vbase_console.organizations.differences import note
from vbase_console.tasks.limits import require_capacity

REPLANNING_FIELDS = frozenset({"schedule_cron", "timezone", "is_active"})
"""A change of one of these plans the next run anew."""


def look_for_database(cluster: Cluster, db_name: str) -> None:
    """Raise NotFound if a running cluster does not have the database.

    A cluster that cannot answer now is not consulted. Missing collections are handled at run time.
    Called before a transaction begins, so that no lock is held while the server answers.
    """
    if db_name in ("", DEFAULT_DATABASE) or cluster.condition != Condition.RUNNING:
        return
    if not refusal_of_any_server(Kind.DATABASE, db_name):
        with contextlib.suppress(Unavailable):
            require_database(cluster, db_name)


@transaction.atomic
def create_policy(cluster: Cluster, spec: PolicySpec) -> BackupPolicy:
    """Create a policy. Its first run is planned for the next instant of its schedule."""
    policy = BackupPolicy(cluster=_lock_living(cluster), organization_id=cluster.organization_id)
    spec = spec.with_defaults()
    cron = spec.check()
    _apply(policy, _with_unique_name(policy, spec))
    policy.next_run_at = _next_run_at(policy, cron)
    policy.save(force_insert=True)
    beat_mirror.mirror(policy)
    observers.policy_changed(policy.cluster_id)
    return policy


@transaction.atomic
def update_policy(policy: BackupPolicy, **changes: Unpack[PolicyChanges]) -> BackupPolicy:
    """Change the given fields. The dispatcher follows at its next round.

    A default name follows the schedule.
    """
    policy = _lock(policy)
    _lock_living(policy.cluster)
    stored = policy.spec
    spec = dataclasses.replace(stored, **changes)
    changed = spec.changed_from(stored)
    if "schedule_cron" in changed and has_default_name(stored) and "name" not in changed:
        spec.name = ""
    if spec.name != stored.name:
        spec = _with_unique_name(policy, spec)
    return _change(policy, spec) if changed else policy


def pause_policy(policy: BackupPolicy) -> BackupPolicy:
    return update_policy(policy, is_active=False)


def resume_policy(policy: BackupPolicy) -> BackupPolicy:
    return update_policy(policy, is_active=True)


@transaction.atomic
def delete_policy(policy: BackupPolicy) -> BackupPolicy:
    """Delete a policy and return it as it was. Its backups are kept and outlive retention."""
    policy = _lock(policy)
    policy_id = policy.policy_id
    BackupPolicy.objects.filter(pk=policy_id).update(last_run=None)
    beat_mirror.remove(policy_id)
    policy.delete()
    observers.policy_changed(policy.cluster_id)
    policy.policy_id = policy_id
    return policy


def summary_of(cluster_ids: Sequence[str]) -> dict[str, PolicySummary]:
    """Summarize in Python, because a cluster has a handful of policies and a statement that groups
    costs more than reading their rows.
    """
    planned: dict[str, list[datetime | None]] = defaultdict(list)
    for cluster_id, next_run_at in _PLANNED.rows(cluster_ids):
        planned[cluster_id].append(next_run_at)
    return {
        cluster_id: PolicySummary(
            policy_count=len(runs), next_run_at=min(filter(None, runs), default=None)
        )
        for cluster_id, runs in planned.items()
    }


def _planned(cluster_ids: Sequence[str]) -> QuerySet[BackupPolicy, tuple[Any, ...]]:
    rows = BackupPolicy.objects.filter(cluster__in=cluster_ids).order_by()
    return rows.values_list("cluster_id", "next_run_at")


_PLANNED = PreparedByIds(_planned)


def deactivate_policies_of(cluster: Cluster) -> str:
    """Pause the policies of a cluster that is being deleted. Returns a sentence about the effect.
    Called with the cluster's row locked.
    """
    policies = BackupPolicy.objects.select_for_update(of=("self",)).filter(
        cluster=cluster, is_active=True
    )
    for policy in policies:
        _change(policy, dataclasses.replace(policy.spec, is_active=False))
    if not policies:
        return ""
    if len(policies) == 1:
        return "Its policy is paused and stays listed."
    return f"{len(policies)} policies are paused and stay listed."


@transaction.atomic
def run_now(policy: BackupPolicy, *, by: str) -> BackupJob:
    """Start a run beside the schedule, also of a paused policy."""
    policy = _lock(policy)
    if active := PolicyRun.objects.active_job_id(policy.policy_id):
        raise Aborted(f"{active} of the same policy is still running. Wait until it has finished.")
    refuse_ending(policy.cluster, "a run", unfinished(policy.cluster))
    require_capacity(policy.organization_id, policy.cluster_id)
    run = start_run(policy, planned_at=clock.now(), is_manual=True, by=by)
    if run.job is None:
        raise FailedPrecondition(run.skip_reason)
    return run.job


@transaction.atomic
def release_backup(backup: Backup) -> Backup:
    """End the retention hold of a backup whose successor contains less."""
    backup = lock_backup(backup)
    require_available(backup)
    backup.retention_hold = False
    backup.save(update_fields=["retention_hold"])
    PolicyRun.objects.request_retention(backup.policy_id)
    return backup


def _with_unique_name(policy: BackupPolicy, spec: PolicySpec) -> PolicySpec:
    """Give a nameless spec the default name. Raises AlreadyExists if its own name is taken.

    The caller has locked the cluster's row.
    """
    others = BackupPolicy.objects.filter(cluster=policy.cluster_id).exclude(pk=policy.pk)
    other_names = set(others.values_list("name", flat=True))
    if spec.name in other_names:
        raise AlreadyExists(
            f"{policy.cluster.service_id} already has a policy named '{spec.name}'. "
            "Choose another name."
        )
    if spec.name:
        return spec
    defaults = (default_name(spec.schedule_cron, number) for number in count(1))
    return dataclasses.replace(
        spec, name=next(name for name in defaults if name not in other_names)
    )


def _apply(policy: BackupPolicy, spec: PolicySpec) -> None:
    for name in SPEC_FIELDS:
        setattr(policy, name, getattr(spec, name))


def _change(policy: BackupPolicy, spec: PolicySpec) -> BackupPolicy:
    changed = spec.changed_from(policy.spec)
    note(
        {name: getattr(policy.spec, name) for name in changed},
        {name: getattr(spec, name) for name in changed},
    )
    _apply(policy, spec)
    if changed <= {"is_active"} and not policy.is_active:
        # the schedule is not read, because it may not be valid any more
        policy.next_run_at = None
        policy.save()
        beat_mirror.disable(policy.policy_id)
    else:
        cron = policy.spec.check()
        if changed & REPLANNING_FIELDS:
            policy.next_run_at = _next_run_at(policy, cron)
        policy.save()
        beat_mirror.mirror(policy)
    observers.policy_changed(policy.cluster_id)
    if "retention_count" in changed:
        PolicyRun.objects.request_retention(policy.policy_id)
    return policy


def _next_run_at(policy: BackupPolicy, cron: Cron) -> datetime | None:
    if not policy.is_active:
        return None
    return next_after(cron, zone_of(policy.timezone), clock.now())


def next_run_after(policy: BackupPolicy, after: datetime) -> datetime:
    return next_after(parse(policy.schedule_cron), zone_of(policy.timezone), after)


def _lock_living(cluster: Cluster) -> Cluster:
    locked = Cluster.objects.locked(cluster.pk)
    refuse_ending(locked, "a change of its policies", unfinished(locked))
    return locked


def _lock(policy: BackupPolicy) -> BackupPolicy:
    Cluster.objects.locked(policy.cluster_id)
    rows = BackupPolicy.objects.select_for_update(of=("self",)).with_last_run()
    locked = rows.filter(pk=policy.pk).first()
    if locked is None:
        raise NotFound(f"Backup policy '{policy.policy_id}' no longer exists.")
    return locked
