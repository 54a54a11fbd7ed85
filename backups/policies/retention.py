"""Retention decisions with reasons: a pure function for pruner, preview and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

Order = tuple[datetime, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    backup_id: str
    policy_id: str
    created_at: datetime
    rows: Mapping[str, int]
    """Row count of each collection."""
    chosen: tuple[str, ...] = ()
    """Requested collections; none: all collections."""
    is_available: bool = True
    """Neither being written nor failed nor being deleted."""
    is_complete: bool = True
    """The backup contains all requested content."""
    is_damaged: bool = False
    """A file differs from what was sealed, so that retention does not count the backup."""
    is_pinned: bool = False
    retention_hold: bool | None = None
    """True: the successor contains less. False: released. None: not decided yet."""
    verified_at: datetime | None = None
    proven_at: datetime | None = None

    @property
    def counts(self) -> bool:
        return self.is_complete and not self.is_damaged

    @property
    def order(self) -> Order:
        return self.created_at, self.backup_id


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetentionDecision:
    keep: bool
    reason: str
    sets_hold: bool = False
    """Kept because its successor contains less; the hold is stored."""


def decide(
    backups: Iterable[Candidate], *, policy_id: str, count: int
) -> dict[str, RetentionDecision]:
    """Decide on each backup. Only complete backups of this policy count; foreign ones are kept."""
    newest_first = sorted(backups, key=lambda backup: backup.order, reverse=True)
    own = [
        backup for backup in newest_first if backup.policy_id == policy_id and backup.is_available
    ]
    held, last_proven = _held(own), _last_proven(own)
    decisions, rank = {}, 0
    for backup in newest_first:
        if backup.policy_id != policy_id:
            decision = RetentionDecision(keep=True, reason="kept: not of this policy")
        elif not backup.is_available:
            decision = RetentionDecision(keep=True, reason="kept: not available")
        else:
            rank += backup.counts
            decision = _protected(backup, held, last_proven) or _by_rank(backup, rank, count)
        decisions[backup.backup_id] = decision
    return decisions


def _protected(
    backup: Candidate, held: set[str], last_proven: Mapping[str, str]
) -> RetentionDecision | None:
    if backup.is_pinned:
        return RetentionDecision(
            keep=True, reason="kept: pinned", sets_hold=backup.backup_id in held
        )
    if backup.backup_id in last_proven:
        reason = f"kept: {last_proven[backup.backup_id]}"
        return RetentionDecision(keep=True, reason=reason, sets_hold=backup.backup_id in held)
    if backup.backup_id in held:
        reason = "kept: fuller than the one after it, until it is released"
        return RetentionDecision(keep=True, reason=reason, sets_hold=True)
    return None


def _by_rank(backup: Candidate, rank: int, count: int) -> RetentionDecision:
    if not backup.counts:
        lacks, others = ("damaged", "are whole") if backup.is_damaged else ("not complete", "are")
        if rank < count:
            return RetentionDecision(
                keep=True, reason=f"kept: {lacks}, but fewer than {count} newer {others}"
            )
        return RetentionDecision(
            keep=False, reason=f"expired: {lacks}, and {count} newer ones {others}"
        )
    if rank <= count:
        return RetentionDecision(keep=True, reason=f"kept: newest {count}")
    return RetentionDecision(keep=False, reason=f"expired: {ordinal(rank)} newest")


def _last_proven(newest_first: Sequence[Candidate]) -> dict[str, str]:
    """Find the newest proven backup and the one proven last, which are mostly the same.

    Without a proven backup the newest verified one takes their place.
    """
    proven = [backup for backup in newest_first if backup.proven_at]
    if proven:
        latest = max(
            proven, key=lambda backup: (backup.proven_at or backup.created_at, backup.order)
        )
        return {proven[0].backup_id: "last proven", latest.backup_id: "last proven"}
    verified = [backup for backup in newest_first if backup.verified_at]
    return {backup.backup_id: "last verified, and none is proven" for backup in verified[:1]}


def _held(newest_first: Sequence[Candidate]) -> set[str]:
    """Find backups whose successor with the same request contains less, now or earlier."""
    complete = [backup for backup in newest_first if backup.counts]
    held = {backup.backup_id for backup in newest_first if backup.retention_hold}
    for chosen in {backup.chosen for backup in complete}:
        alike = [backup for backup in complete if backup.chosen == chosen]
        for later, earlier in pairwise(alike):
            if earlier.retention_hold is None and _holds_less(later, earlier):
                held.add(earlier.backup_id)
    return held


def _holds_less(later: Candidate, earlier: Candidate) -> bool:
    """Rule of the retention hold: a collection is missing, or more than half of the rows."""
    lost = earlier.rows.keys() - later.rows.keys()
    return bool(lost) or 2 * sum(later.rows.values()) < sum(earlier.rows.values())


def ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
