"""More of everything that a page of an organization may list, beside what a tenant has already."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from backups.models import Backup, BackupJob, StorageDay
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.protection.models import KnownCollection
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster, ClusterDay, Rollout, RolloutStep
from clusters.states import Condition, RolloutState, ServiceStatus, StepState
from tests.architecture.cast import Tenant
from tests.backups.seeds import IMAGES
from vbase_console.core.ids import new_id
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership
from vbase_console.organizations.scopes import Role
from vbase_console.search.words import index_names
from vbase_console.tasks.models import Task, TaskDay, TaskEvent
from vbase_console.tasks.states import TaskState


class Crowd:
    """Every call makes `count` more of each; those of two crowds differ by their `mark`."""

    def __init__(self, tenant: Tenant, count: int, mark: str) -> None:
        self._tenant, self._count, self._mark = tenant, count, mark
        self._own = {"organization": tenant.organization}
        self._names = [f"{mark}{number}" for number in range(count)]

    def come(self) -> None:
        self._people()
        self._clusters()
        self._events_of(self._tenant.task)
        self._events_of(Task.objects.get(task_id=self._tenant.job_id))
        self._backups()
        self._policies()
        self._collections()
        self._rollouts()

    def _people(self) -> None:
        users = User.objects.bulk_create(
            User(username=f"{name}@example.com", email=f"{name}@example.com")
            for name in self._names
        )
        Membership.objects.bulk_create(
            Membership(**self._own, user=user, role=Role.VIEWER) for user in users
        )
        ApiKey.objects.bulk_create(
            ApiKey(**self._own, id=name, prefix=name, name=name) for name in self._names
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(**self._own, principal=name, action="ScaleCluster", interface="API")
            for name in self._names
        )

    def _clusters(self) -> None:
        """Each with a task of its own, and one more of the tenant's cluster."""
        runs = {"status": ServiceStatus.RUNNING, "condition": Condition.RUNNING}
        self._others = Cluster.objects.bulk_create(
            Cluster(**self._own, name=name, version="2.1.0", **runs) for name in self._names
        )
        subjects = [*self._others, *([self._tenant.cluster] * self._count)]
        Task.objects.bulk_create(
            Task(
                **self._own,
                task_id=f"task-{self._mark}{number}",
                kind="SCALING",
                subject_id=cluster.pk,
                quota_key=cluster.pk,
                state=TaskState.FAILED if number % 2 else TaskState.PENDING,
            )
            for number, cluster in enumerate(subjects)
        )

    def _events_of(self, task: Task) -> None:
        TaskEvent.objects.bulk_create(
            TaskEvent(task=task, epoch=1, state=TaskState.RUNNING, progress=1, message=name)
            for name in self._names
        )

    def _backups(self) -> None:
        """Backups of the tenant's policy and of other clusters, each being verified, and more jobs
        of the tenant's backup, which contains more collections.
        """
        policy_id = self._tenant.policy.pk
        mine = [(self._tenant.cluster, f"of-policy-{name}", policy_id) for name in self._names]
        theirs = [(other, f"of-{other.name}", "") for other in self._others]
        made = Backup.objects.bulk_create(
            Backup(
                **self._own,
                cluster=cluster,
                name=name,
                db_name="default",
                policy_id=policy,
                status=BackupStatus.AVAILABLE,
                manifest_sha256="0" * 64,
                collections=[IMAGES],
            )
            for cluster, name, policy in mine + theirs
        )
        index_names(made)
        self._taken, self._backups_of_others = made[: self._count], made[self._count :]
        mine_again = [Backup.objects.get(pk=self._tenant.backup.pk)] * self._count
        self._jobs = self._jobs_of([*made, *mine_again])
        mine_again[0].collections = [*mine_again[0].collections, *[IMAGES] * self._count]
        mine_again[0].save()

    def _jobs_of(self, backups: list[Backup]) -> list[BackupJob]:
        tasks = Task.objects.bulk_create(
            Task(
                **self._own,
                task_id=f"job-{self._mark}{number}",
                id_prefix="job",
                kind=JobKind.VERIFY,
                subject_id=backup.pk,
                quota_key=backup.cluster_id,
                state=TaskState.FAILED if number % 2 else TaskState.RUNNING,
            )
            for number, backup in enumerate(backups)
        )
        return BackupJob.objects.bulk_create(
            BackupJob(
                **self._own,
                task=task,
                job_type=JobKind.VERIFY,
                backup=backup,
                cluster=backup.cluster,
                db_name="default",
                is_cleaned_up=True,
            )
            for task, backup in zip(tasks, backups, strict=True)
        )

    def _policies(self) -> None:
        """Policies of the tenant's cluster and of others, each with a run, and more runs of the
        tenant's.
        """
        plan = {"schedule_cron": "@daily", "retention_count": 1, "next_run_at": timezone.now()}
        clusters = [*self._others, *([self._tenant.cluster] * self._count)]
        policies = BackupPolicy.objects.bulk_create(
            BackupPolicy(**self._own, cluster=cluster, name=new_id("daily"), **plan)
            for cluster in clusters
        )
        fired = [*policies, *([self._tenant.policy] * self._count)]
        at = timezone.now() - timedelta(minutes=PolicyRun.objects.count())
        runs = PolicyRun.objects.bulk_create(
            PolicyRun(**self._own, policy=policy, planned_at=at - timedelta(minutes=n), job=job)
            for n, (policy, job) in enumerate(zip(fired, self._jobs, strict=True))
        )
        for policy, run in zip(policies, runs, strict=False):
            policy.last_run = run
        BackupPolicy.objects.bulk_update(policies, ["last_run"])
        today = timezone.now().date()
        PolicyDay.objects.bulk_create(
            PolicyDay(**self._own, policy=policy, day=today, good=1) for policy in policies
        )
        ClusterDay.objects.bulk_create(
            ClusterDay(
                cluster=cluster, day=today, available_seconds=1, counted_until=timezone.now()
            )
            for cluster in self._others
        )
        TaskDay.objects.bulk_create(
            TaskDay(**self._own, day=today, id_prefix=name[-8:], failed=1) for name in self._names
        )
        StorageDay.objects.bulk_create(
            StorageDay(**self._own, cluster=cluster, day=today, size_bytes=1)
            for cluster in self._others
        )

    def _collections(self) -> None:
        KnownCollection.objects.bulk_create(
            KnownCollection(
                **self._own,
                cluster=backup.cluster,
                db_name="default",
                name=f"of_{backup.name}",
                policy=self._tenant.policy,
                newest_backup=backup,
                proven_backup=backup,
                rpo_deadline=timezone.now(),
            )
            for backup in [*self._taken, *self._backups_of_others]
        )

    def _rollouts(self) -> None:
        """Each of one cluster, and more steps of the tenant's rollout."""
        ended = {"state": RolloutState.SUCCEEDED, "finished_at": timezone.now()}
        rollouts = Rollout.objects.bulk_create(
            Rollout(**self._own, version="2.1.0", **ended) for _ in self._names
        )
        first = self._tenant.rollout.steps.count() + 1
        steps = [(rollout, 1) for rollout in rollouts]
        steps += [(self._tenant.rollout, first + number) for number in range(self._count)]
        RolloutStep.objects.bulk_create(
            RolloutStep(
                rollout=rollout, position=position, cluster=cluster, state=StepState.SUCCEEDED
            )
            for (rollout, position), cluster in zip(steps, [*self._others] * 2, strict=True)
        )
