"""Preview the runs of a schedule and the effect of a retention count. Changes nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from django.utils import timezone as clock

from backups.policies.cron import describe, runs, zone_of
from backups.policies.models import BackupPolicy
from backups.policies.pruning import backups_of, decisions_on
from backups.policies.validation import PolicySpec
from vbase_console.core.errors import InvalidArgument

MAX_PREVIEW_RUNS = 100
MIN_PREVIEW_START = datetime(1970, 1, 1, tzinfo=clock.get_fixed_timezone(0))
MAX_PREVIEW_START = datetime(2200, 1, 1, tzinfo=clock.get_fixed_timezone(0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionPreview:
    backup_name: str
    backup_id: str
    created_at: datetime
    reason: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    description: str
    runs: list[datetime]
    local_runs: list[datetime]
    """The same instants in the policy's time zone."""
    would_keep: list[RetentionPreview]
    would_expire: list[RetentionPreview]


def preview(
    spec: PolicySpec,
    *,
    policy: BackupPolicy | None = None,
    start_at: datetime | None = None,
    count: int = 10,
) -> Preview:
    """Preview a spec, and what its retention would do to the backups of an existing policy."""
    spec = spec.with_defaults()
    cron, zone = spec.check(), zone_of(spec.timezone)
    if not 1 <= count <= MAX_PREVIEW_RUNS:
        raise InvalidArgument(field_errors={"count": [f"Ask for 1 to {MAX_PREVIEW_RUNS} runs."]})
    if start_at and not MIN_PREVIEW_START <= start_at <= MAX_PREVIEW_START:
        text = "Give an instant between 1970 and 2200."
        raise InvalidArgument(field_errors={"start_at": [text]})
    instants = runs(cron, zone, start_at or clock.now(), count)
    kept: list[RetentionPreview] = []
    expired: list[RetentionPreview] = []
    backups = backups_of(policy) if policy else []
    decisions = decisions_on(policy, backups, spec.retention_count) if policy else {}
    for backup in backups:
        decision = decisions[backup.backup_id]
        (kept if decision.keep else expired).append(
            RetentionPreview(
                backup_name=backup.name,
                backup_id=backup.backup_id,
                created_at=backup.created_at,
                reason=decision.reason,
            )
        )
    return Preview(
        description=describe(cron),
        runs=instants,
        local_runs=[instant.astimezone(zone) for instant in instants],
        would_keep=kept,
        would_expire=expired,
    )
