"""Whether a backup stays and why, and whether it is whole: for its own page."""

from __future__ import annotations

import dataclasses

from backups.models import Backup, BackupJob, BackupPolicy
from backups.policies.pruning import backups_of, candidate
from backups.policies.retention import Verdict, decide
from backups.states import BackupStatus
from backups.views.shown import jobs_of
from vbase_console.organizations.scopes import CREATE_BACKUP
from vbase_console.organizations.tenancy import Principal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kept:
    """What the retention of its policy says of a backup."""

    policy_id: str
    policy: BackupPolicy | None
    """None where it is deleted: then nobody's retention removes the backup."""
    verdict: Verdict | None = None
    """None where it is not available, so that nobody decides on it."""
    released: Verdict | None = None
    """What would hold if it were released; None where it is not held."""
    may_release: bool = False

    @property
    def is_held_besides(self) -> bool:
        """It stays for another reason, too, which is the one that is said."""
        if self.verdict is None or self.released is None:
            return False
        return self.verdict.reason == self.released.reason


def kept_of(principal: Principal, backup: Backup) -> Kept | None:
    """None where no policy took it."""
    if not backup.policy_id:
        return None
    policies = BackupPolicy.objects.visible_to(principal).select_related("cluster")
    policy = policies.filter(pk=backup.policy_id).first()
    if policy is None or backup.status != BackupStatus.AVAILABLE:
        return Kept(policy_id=backup.policy_id, policy=policy)
    verdict, released = _verdict(policy, backup), None
    if verdict.holds:
        released = _verdict(policy, backup, release=True)
    return Kept(
        policy_id=policy.policy_id,
        policy=policy,
        verdict=verdict,
        released=released,
        may_release=released is not None and principal.may(CREATE_BACKUP),
    )


def _verdict(policy: BackupPolicy, backup: Backup, *, release: bool = False) -> Verdict:
    candidates = [candidate(each) for each in backups_of(policy)]
    if release:
        candidates = [
            dataclasses.replace(each, is_held=False) if each.backup_id == backup.pk else each
            for each in candidates
        ]
    decided = decide(candidates, policy_id=policy.policy_id, count=policy.retention_count)
    return decided[backup.pk]


def damage_of(principal: Principal, backup: Backup) -> BackupJob | None:
    """The verification or restore that found it damaged; None where a look at its manifest did."""
    if not backup.is_damaged:
        return None
    return jobs_of(principal).filter(task__task_id=backup.damaged_by_job).first()
