"""Policies, their runs and the retention of their backups as values for templates, in a few
queries for many.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from backups.models import Backup
from backups.policies.cron import BadCron, BadZone, in_words, parse, runs, zone_of
from backups.policies.health import with_health
from backups.policies.models import BackupPolicy, PolicyQuerySet, PolicyRun, PolicyRunQuerySet
from backups.policies.pruning import backups_of, candidate, decisions_on
from backups.policies.retention import RetentionDecision, decide
from backups.policies.rpo import rpo_deadline
from backups.policies.runs import skip_reason
from backups.policies.states import OVERDUE_AFTER, RETENTION_OVERDUE_AFTER, RetentionOutcome
from backups.states import BackupStatus
from clusters.states import ENDED
from vbase_console.organizations.scopes import (
    CREATE_BACKUP,
    CREATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
    UPDATE_BACKUP_POLICY,
)
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.states import ACTIVE

RUN_STRIP_LENGTH = 30
COLUMNS_OF_STRIP = (
    "policy",
    "planned_at",
    "created_at",
    "skip_reason",
    "is_manual",
    "is_catch_up",
    "job__task__task_id",
    "job__task__state",
    "job__task__message",
    "job__task__started_at",
    "job__task__finished_at",
    "job__backup__status",
    "job__backup__size_bytes",
    "job__backup__omissions",
    "job__backup__damage_found_by",
    "job__backup__damage",
)
UPCOMING = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyRow:
    policy: BackupPolicy
    strip: Sequence[PolicyRun]
    """Latest runs, oldest first."""
    now: datetime

    @property
    def schedule_in_words(self) -> str:
        return in_words(self.policy.schedule_cron)

    @property
    def ended(self) -> PolicyRun | None:
        """Latest finished run, which decides the health."""
        return next((run for run in reversed(self.strip) if run.status not in ACTIVE), None)

    @property
    def is_running(self) -> bool:
        return any(run.status in ACTIVE for run in self.strip)

    @property
    def schedule_error(self) -> str:
        return schedule_error(self.policy)

    @property
    def is_late(self) -> bool:
        planned = self.policy.next_run_at
        return planned is not None and planned <= self.now - OVERDUE_AFTER

    @property
    def is_stale(self) -> bool:
        """True if an active policy has no good backup within its RPO."""
        return self.policy.is_active and self.backup_due_at < self.now

    @property
    def backup_due_at(self) -> datetime:
        """End of the RPO: the time until which the next good backup is expected."""
        since = self.policy.newest_complete_backup_at or self.policy.created_at
        return _rpo_deadline(self.policy, since)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolicyActions:
    run: bool
    edit: bool
    pause: bool
    resume: bool
    delete: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupWithDecision:
    backup: Backup
    decision: RetentionDecision

    @property
    def outcome(self) -> RetentionOutcome:
        return RetentionOutcome.KEEP if self.decision.keep else RetentionOutcome.EXPIRE


def listed_policies(principal: Principal) -> PolicyQuerySet:
    return with_health(BackupPolicy.objects.with_last_run()).visible_to(principal)


def policy_of(principal: Principal, policy_id: str) -> BackupPolicy | None:
    if not policy_id:
        return None
    return BackupPolicy.objects.visible_to(principal).filter(pk=policy_id).first()


def runs_of(principal: Principal) -> PolicyRunQuerySet:
    return PolicyRun.objects.visible_to(principal).select_related("job__task", "job__backup")


def longest_overdue_retention(principal: Principal, **of: Any) -> PolicyRun | None:
    """Find the run whose retention is overdue longest. None if no retention is overdue."""
    runs = PolicyRun.objects.retention_overdue().visible_to(principal).filter(**of)
    waits_long = Q(waits_since__lte=timezone.now() - RETENTION_OVERDUE_AFTER)
    longest_first = runs.filter(waits_long).order_by(F("waits_since").asc())
    return longest_first.select_related("policy__cluster").first()


def policy_rows(principal: Principal, policies: Iterable[BackupPolicy]) -> list[PolicyRow]:
    listed, now = list(policies), timezone.now()
    strips = _strips(principal, [policy.pk for policy in listed])
    return [
        PolicyRow(policy=policy, strip=strips[policy.pk][:RUN_STRIP_LENGTH][::-1], now=now)
        for policy in listed
    ]


def _strips(principal: Principal, policy_ids: Sequence[str]) -> dict[str, list[PolicyRun]]:
    """Load the latest runs of each policy, newest first.

    The oldest instant of each strip is read first, by index: a window function would read all runs.
    """
    own = PolicyRun.objects.visible_to(principal).filter(policy=OuterRef("pk"))
    oldest = own.order_by("-planned_at", "-pk").values("planned_at")[
        RUN_STRIP_LENGTH - 1 : RUN_STRIP_LENGTH
    ]
    policies = BackupPolicy.objects.visible_to(principal).filter(pk__in=policy_ids).order_by()
    bounds = policies.annotate(since=Subquery(oldest)).values_list("pk", "since")
    shown = Q()
    for pk, since in bounds:
        shown |= Q(policy=pk, planned_at__gte=since) if since else Q(policy=pk)
    strips: dict[str, list[PolicyRun]] = defaultdict(list)
    if shown:
        for run in runs_of(principal).filter(shown).only(*COLUMNS_OF_STRIP):
            strips[run.policy_id].append(run)
    return strips


def policy_actions_of(
    principal: Principal, policy: BackupPolicy, *, is_running: bool
) -> PolicyActions:
    lives = policy.cluster.status not in ENDED
    may_change = principal.may(UPDATE_BACKUP_POLICY) and lives
    may_run = principal.may(CREATE_BACKUP_POLICY) and not skip_reason(policy.cluster)
    return PolicyActions(
        run=may_run and not is_running,
        edit=may_change,
        pause=may_change and policy.is_active,
        resume=may_change and not policy.is_active,
        delete=principal.may(DELETE_BACKUP_POLICY),
    )


def schedule_error(policy: BackupPolicy) -> str:
    """Error of a stored schedule or zone that is not valid any more, or an empty text."""
    try:
        parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone) as error:
        return str(error)
    return ""


def _rpo_deadline(policy: BackupPolicy, newest_at: datetime) -> datetime:
    """RPO deadline. A schedule that is not valid any more has passed it already."""
    try:
        return rpo_deadline(parse(policy.schedule_cron), zone_of(policy.timezone), newest_at)
    except (BadCron, BadZone):
        return newest_at


def upcoming_of(policy: BackupPolicy) -> list[datetime]:
    if not policy.is_active:
        return []
    try:
        cron, zone = parse(policy.schedule_cron), zone_of(policy.timezone)
    except (BadCron, BadZone):
        return []
    return runs(cron, zone, timezone.now(), UPCOMING)


def backups_with_decisions(policy: BackupPolicy) -> list[BackupWithDecision]:
    backups = backups_of(policy)
    decisions = decisions_on(policy, backups, policy.retention_count)
    return [
        BackupWithDecision(backup=backup, decision=decisions[backup.backup_id])
        for backup in backups
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionStatus:
    """Retention decision on a backup by its policy."""

    policy_id: str
    policy: BackupPolicy | None
    """None if the policy was deleted. Retention then never removes the backup."""
    decision: RetentionDecision | None = None
    """None if the backup is not available."""
    released: RetentionDecision | None = None
    """Decision after a release. None if the backup is not held."""
    may_release: bool = False

    @property
    def is_also_held(self) -> bool:
        """True if the backup is also kept for another reason, which is the one shown."""
        if self.decision is None or self.released is None:
            return False
        return self.decision.reason == self.released.reason


def retention_status_of(principal: Principal, backup: Backup) -> RetentionStatus | None:
    """Return None if the backup was not made by a policy."""
    if not backup.policy_id:
        return None
    policies = BackupPolicy.objects.visible_to(principal).select_related("cluster")
    policy = policies.filter(pk=backup.policy_id).first()
    if policy is None or backup.status != BackupStatus.AVAILABLE:
        return RetentionStatus(policy_id=backup.policy_id, policy=policy)
    decision, released = _decision_on(policy, backup), None
    if decision.sets_hold:
        released = _decision_on(policy, backup, release=True)
    return RetentionStatus(
        policy_id=policy.policy_id,
        policy=policy,
        decision=decision,
        released=released,
        may_release=released is not None and principal.may(CREATE_BACKUP),
    )


def _decision_on(
    policy: BackupPolicy, backup: Backup, *, release: bool = False
) -> RetentionDecision:
    own = backups_of(policy)
    if release:
        for other in own:
            other.retention_hold = False if other.pk == backup.pk else other.retention_hold
    candidates = [candidate(other) for other in own]
    decisions = decide(candidates, policy_id=policy.policy_id, count=policy.retention_count)
    return decisions[backup.pk]
