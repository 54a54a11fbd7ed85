"""A backup that a verification found damaged protects nothing and pushes nothing out."""

from __future__ import annotations

from backups.models import Backup
from backups.policies.pruning import backups_of, decisions_on
from clusters.models import Cluster
from tests.protection.conftest import Cover, taken


def test_a_damaged_backup_never_pushes_out_a_good_one(cluster: Cluster, cover: Cover) -> None:
    policy = cover()
    good, damaged = (taken(cluster, policy_id=policy.policy_id) for _ in range(2))
    Backup.objects.filter(pk=damaged.pk).update(damage_found_by="job-1")
    verdicts = decisions_on(policy, backups_of(policy), 1)
    assert verdicts[good.pk].reason == "kept: newest 1"


def test_a_damaged_backup_goes_when_enough_newer_ones_are_whole(
    cluster: Cluster, cover: Cover
) -> None:
    policy = cover()
    damaged, _ = (taken(cluster, policy_id=policy.policy_id) for _ in range(2))
    Backup.objects.filter(pk=damaged.pk).update(damage_found_by="job-1")
    assert not decisions_on(policy, backups_of(policy), 1)[damaged.pk].keep
