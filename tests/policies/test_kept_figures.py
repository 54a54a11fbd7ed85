"""Kept figures of a policy equal a recount after any history of its backups."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from backups import observers
from backups.archive.damage import Finding
from backups.models import FOUND_BY_READING, Backup
from backups.outcomes import settle
from backups.policies.kept_figures import complete_backups_of
from backups.policies.models import BackupPolicy
from backups.services.backups import delete_backup
from backups.states import BackupStatus, JobKind
from tests.backups.seeds import seed_job
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

pytestmark = pytest.mark.django_db(transaction=True)


def back_up(policy: BackupPolicy, dice: random.Random, number: int) -> None:
    """A job that succeeds, with or without omissions, or fails."""
    state = dice.choice([TaskState.SUCCEEDED, TaskState.SUCCEEDED, TaskState.FAILED])
    backup = Backup.objects.create(
        organization=policy.organization,
        cluster=policy.cluster,
        name=f"backup-{number}",
        db_name="default",
        policy_id=policy.pk,
        manifest_sha256="0" * 64,
        omissions=dice.choice([[], [], ["Collection a was not there."]]),
        created_at=timezone.now() - timedelta(minutes=dice.randint(0, 10_000)),
    )
    settle(seed_job(backup, JobKind.BACKUP, state, policy_id=policy.pk).task)


def verify(backup: Backup, dice: random.Random) -> None:
    state = dice.choice([TaskState.SUCCEEDED, TaskState.FAILED])
    if state == TaskState.SUCCEEDED:
        Backup.objects.filter(pk=backup.pk).mark_whole(at=timezone.now())
    job = seed_job(backup, JobKind.VERIFY, state, policy_id=backup.policy_id)
    Task.objects.filter(pk=job.task_id).update(checkpoint={"damaged": True})
    settle(Task.objects.get(pk=job.task_id))


def read(backup: Backup, dice: random.Random) -> None:
    """A request finds damage."""
    finding = Finding("manifest.json", "it is missing")
    Backup.objects.filter(pk=backup.pk).mark_damaged(by=FOUND_BY_READING, findings=[finding])
    observers.backup_damaged(backup)


def delete(backup: Backup, dice: random.Random) -> None:
    delete_backup(backup, by="alice", limited=False)


@pytest.mark.parametrize("seed", range(6))
def test_they_equal_a_recount_after_every_step(policy: BackupPolicy, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(25):
        available = list(Backup.objects.filter(status=BackupStatus.AVAILABLE))
        with transaction.atomic():
            if not available or dice.random() < 0.5:
                back_up(policy, dice, number)
            else:
                dice.choice([verify, read, delete])(dice.choice(available), dice)
        kept = BackupPolicy.objects.get(pk=policy.pk)
        complete = complete_backups_of(policy.pk).order_by()
        assert kept.complete_backup_count == complete.count()
        assert kept.newest_complete_backup_at == complete.aggregate(at=Max("created_at"))["at"]
