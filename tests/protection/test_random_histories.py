"""Whatever happens in whatever order, what is written down is what would be worked out now."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from backups.models import Backup
from backups.policies import services
from backups.policies.models import BackupPolicy
from backups.protection.coverage import update_coverage
from backups.services.backups import delete_backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.backups.seeds import IMAGES, seed_backup, seed_job
from tests.protection.conftest import Cover, know
from vbase_console.tasks.states import TaskState

NAMES = ("images", "texts", "users", "posters")
CRONS = ("* * * * *", "@hourly", "0 3 * * *", "@weekly")
STEPS = 40


class History:
    """One cluster, and everything that may happen to its protection."""

    def __init__(self, seed: int, cluster: Cluster, cover: Cover, end: Callable[..., None]) -> None:
        self.dice = random.Random(seed)
        self.cluster, self._cover, self._end = cluster, cover, end

    def step(self) -> str:
        happens = self.dice.choice(
            [self.look, self.plan, self.change, self.forget, self.take, self.delete, self.verify]
        )
        happens()
        return happens.__name__

    def look(self) -> None:
        know(self.cluster, *self._some())

    def plan(self) -> None:
        self._cover(*self._some(), schedule_cron=self.dice.choice(CRONS))

    def change(self) -> None:
        if policy := self._one(BackupPolicy.objects.all()):
            services.update_policy(
                policy,
                schedule_cron=self.dice.choice(CRONS),
                is_active=self.dice.random() < 0.5,
                collection_names=self._some(),
            )

    def forget(self) -> None:
        if policy := self._one(BackupPolicy.objects.all()):
            services.delete_policy(policy)

    def take(self) -> None:
        collections = [IMAGES | {"name": name} for name in self._some()]
        coming = {"collections": collections, "status": BackupStatus.CREATING}
        backup = seed_backup(self.cluster, **coming)
        age = timedelta(hours=self.dice.randrange(100))
        Backup.objects.filter(pk=backup.pk).update(created_at=backup.created_at - age)
        self._ends(seed_job(backup, state=TaskState.PENDING))

    def delete(self) -> None:
        if backup := self._one(Backup.objects.available()):
            delete_backup(backup, by="alice")

    def verify(self) -> None:
        if backup := self._one(Backup.objects.available()):
            job = seed_job(backup, JobKind.VERIFY, TaskState.PENDING)
            self._end(job, state=TaskState.FAILED, checkpoint={"damaged": True})

    def _ends(self, job: Any) -> None:
        self._end(job, state=self.dice.choice([TaskState.SUCCEEDED, TaskState.FAILED]))

    def _some(self) -> list[str]:
        return self.dice.sample(NAMES, self.dice.randrange(len(NAMES) + 1))

    def _one(self, rows: Any) -> Any:
        found = list(rows.order_by("created_at", "pk"))
        return self.dice.choice(found) if found else None


@pytest.mark.parametrize("seed", range(6))
def test_no_step_leaves_anything_to_judge(
    cluster: Cluster, cover: Cover, end: Callable[..., None], seed: int
) -> None:
    history = History(seed, cluster, cover, end)
    for _ in range(STEPS):
        happened = history.step()
        assert update_coverage(cluster.pk) == 0, happened
