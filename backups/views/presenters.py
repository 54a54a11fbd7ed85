"""Backups, their jobs and their contents as values for templates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery

from backups import observers
from backups.discovery import translate_errors
from backups.models import Backup, BackupJob, was_restored_again
from backups.services.backups import read_archive
from backups.states import JOB_ID_PREFIX, BackupStatus, JobKind
from clusters.models import Cluster
from clusters.states import ENDED, Condition, ServiceStatus
from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.scopes import (
    CREATE_BACKUP,
    DELETE_BACKUP,
    GET_SERVICE_ACCESS,
    RESTORE_BACKUP,
)
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task, was_retried
from vbase_console.tasks.registry import job_for
from vbase_console.tasks.states import TaskState

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent, Manifest


PHASES: dict[str, tuple[str, ...]] = {
    JobKind.BACKUP: ("pinning", "copying", "sealing"),
    JobKind.RESTORE: ("reading", "inserting", "comparing", "indexing", "swapping"),
    JobKind.VERIFY: ("verifying",),
    JobKind.DELETE: ("deleting",),
}
"""Phases of each kind in order."""
NEWEST_COUNT = 3
MAX_UNFINISHED = 100
"""Limit of unfinished jobs that a page shows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobRow:
    job: BackupJob
    may_cancel: bool
    may_retry: bool
    may_restore_again: bool = False
    """True for a restore into a new cluster that did not succeed: it is requested anew, because its
    target is removed.
    """

    @property
    def task(self) -> Task:
        return self.job.task

    @property
    def phases(self) -> tuple[str, ...]:
        return PHASES[self.job.job_type]

    @property
    def has_backup(self) -> bool:
        return self.job.backup.status != BackupStatus.GONE


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupRow:
    backup: Backup
    job: BackupJob | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupActions:
    """Actions that the user may take on a backup now. An action that would certainly be refused is
    left out.
    """

    restore: bool
    download: bool
    verify: bool
    first: str
    """Action that is offered first: verify for a damaged backup, restore otherwise."""
    pin: bool
    unpin: bool
    delete: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterCoverage:
    """Newest and newest proven backup of a cluster."""

    cluster: Cluster
    newest: Backup | None
    proven: Backup | None
    damaged: int


def jobs_of(principal: Principal) -> QuerySet[BackupJob]:
    jobs = BackupJob.objects.visible_to(principal)
    return jobs.select_related("task", "backup", "cluster")


def unfinished_jobs(principal: Principal, **conditions: object) -> list[BackupJob]:
    """Find unfinished jobs by conditions on their tasks. An index contains only unfinished tasks,
    while the jobs are mostly history.
    """
    tasks = Task.objects.active().filter(id_prefix=JOB_ID_PREFIX, **conditions)
    return jobs_of_tasks(principal, tasks.visible_to(principal)[:MAX_UNFINISHED])


def failed_jobs(principal: Principal, limit: int) -> list[BackupJob]:
    """Find the latest unresolved failed jobs. Skipped policy runs are on the policy page."""
    failed = Task.objects.filter(id_prefix=JOB_ID_PREFIX, state=TaskState.FAILED)
    unresolved = failed.filter(~was_retried("task_id")).visible_to(principal)
    run = "backup_job__policy_run"
    not_skipped = Q(**{run: None}) | Q(**{f"{run}__skip_reason": ""})
    return jobs_of_tasks(
        principal, unresolved.filter(not_skipped, ~was_restored_again("pk"))[:limit]
    )


def jobs_of_tasks(principal: Principal, tasks: QuerySet[Task]) -> list[BackupJob]:
    return list(jobs_of(principal).filter(pk__in=Subquery(tasks.values("pk"))))


def job_rows(principal: Principal, jobs: Iterable[BackupJob]) -> list[JobRow]:
    return [job_row(principal, job) for job in jobs]


def job_row(principal: Principal, job: BackupJob) -> JobRow:
    allowed = principal.may(job_for(job.job_type).scope)
    cancellable = job.task.state in (TaskState.PENDING, TaskState.RUNNING)
    ended_badly = job.task.state in (TaskState.FAILED, TaskState.CANCELLED)
    return JobRow(
        job=job,
        may_cancel=allowed and cancellable and job_for(job.job_type).cancellable,
        may_retry=allowed and ended_badly and _is_still_possible(job),
        may_restore_again=allowed
        and ended_badly
        and job.fills_new_cluster
        and job.cluster.status in ENDED
        and job.backup.can_be_read,
    )


def _is_still_possible(job: BackupJob) -> bool:
    if job.job_type == JobKind.DELETE:
        return job.backup.status == BackupStatus.DELETING
    if job.job_type == JobKind.VERIFY:
        return job.backup.status == BackupStatus.AVAILABLE
    alive = job.cluster.status not in ENDED
    return alive and (job.job_type == JobKind.BACKUP or job.backup.can_be_read)


def backup_rows(principal: Principal, backups: Iterable[Backup]) -> list[BackupRow]:
    listed = list(backups)
    jobs = unfinished_jobs(principal, subject_id__in=[backup.pk for backup in listed])
    job_of = {job.backup_id: job for job in jobs}
    return [BackupRow(backup=backup, job=job_of.get(backup.pk)) for backup in listed]


def actions_of(principal: Principal, backup: Backup, active: Sequence[JobRow]) -> BackupActions:
    available = backup.status == BackupStatus.AVAILABLE
    kinds = {row.job.job_type for row in active}
    in_use = bool(kinds & {JobKind.BACKUP, JobKind.RESTORE})
    return BackupActions(
        restore=backup.can_be_read and principal.may(RESTORE_BACKUP),
        download=backup.can_be_read
        and not backup.is_damaged
        and principal.may(RESTORE_BACKUP)
        and principal.may(GET_SERVICE_ACCESS),
        first="verify" if backup.is_damaged else "restore",
        verify=available and principal.may(CREATE_BACKUP) and JobKind.VERIFY not in kinds,
        pin=available and principal.may(CREATE_BACKUP) and not backup.pinned,
        unpin=available and principal.may(CREATE_BACKUP) and backup.pinned,
        delete=available and principal.may(DELETE_BACKUP) and not backup.pinned and not in_use,
    )


def is_takeable(cluster: Cluster) -> bool:
    """True if the collections of the cluster can be listed now."""
    return cluster.status not in ENDED and cluster.condition == Condition.RUNNING


def covers(principal: Principal, limit: int) -> list[ClusterCoverage]:
    """Return living clusters; those with the oldest or no good backup come first."""
    of_cluster = Backup.objects.good().filter(cluster=OuterRef("pk"))
    proven = of_cluster.filter(proven_at__isnull=False)
    damaged = Backup.objects.damaged().filter(cluster=OuterRef("pk")).order_by().values("cluster")
    clusters = (
        Cluster.objects.alive()
        .visible_to(principal)
        .exclude(status=ServiceStatus.DELETING)
        .annotate(
            newest=Subquery(of_cluster.values("pk")[:1]),
            newest_at=Subquery(of_cluster.values("created_at")[:1]),
            proven=Subquery(proven.values("pk")[:1]),
            damaged=Subquery(damaged.annotate(count=Count("pk")).values("count")),
        )
        .order_by(F("newest_at").asc(nulls_first=True), "name")
    )
    listed: list[Any] = list(clusters[:limit])
    ids = {pk for cluster in listed for pk in (cluster.newest, cluster.proven) if pk}
    backups = Backup.objects.visible_to(principal).in_bulk(list(ids))
    return [
        ClusterCoverage(
            cluster=cluster,
            newest=backups.get(cluster.newest),
            proven=backups.get(cluster.proven),
            damaged=cluster.damaged or 0,
        )
        for cluster in listed
    ]


def newest_of(principal: Principal, cluster: Cluster) -> dict[str, object]:
    own = Backup.objects.present().visible_to(principal).filter(cluster=cluster)
    rows = backup_rows(principal, own[:NEWEST_COUNT])
    restoring = unfinished_jobs(principal, lock=cluster.lock, kind=JobKind.RESTORE)
    arriving = job_rows(principal, restoring)
    return {
        "protection_figures": observers.coverage_figures_of(principal, cluster),
        "backups": rows,
        "arriving": arriving,
        "takeable": is_takeable(cluster) and principal.may(CREATE_BACKUP),
        "backups_move": bool(arriving) or any(row.job for row in rows),
    }


MAX_PARTS = 100
"""Limit of listed parts of a collection. The archive command lists all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackupContents:
    """Manifest of a backup, or the problem that prevents reading it."""

    manifest: Manifest | None = None
    problem: str = ""
    is_sample: bool = False
    """True if there is no archive, because the organization has sample data."""

    @property
    def captured_at(self) -> datetime | None:
        if self.manifest is None:
            return None
        return datetime.fromisoformat(self.manifest.capture.captured_at)


def contents_of(principal: Principal, backup: Backup) -> BackupContents:
    """Read the manifest. Reading may record damage."""
    if principal.is_demo:
        return BackupContents(is_sample=True)
    if backup.status != BackupStatus.AVAILABLE:
        return BackupContents()
    try:
        with translate_errors():
            manifest = read_archive(backup).manifest
    except ConsoleError as error:
        return BackupContents(problem=error.message)
    return BackupContents(manifest=manifest)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionDetails:
    """One collection. `content` is None if the manifest cannot be read."""

    name: str
    rows: int
    bytes: int
    parts: int
    content: CollectionContent | None = None

    @property
    def listed_parts(self) -> list[dict[str, object]]:
        if self.content is None:
            return []
        return [
            {"part": part, "keys": f"{part.key_min.value!s} to {part.key_max.value!s}"}
            for part in self.content.parts[:MAX_PARTS]
        ]

    @property
    def omitted_count(self) -> int:
        return max(0, self.parts - MAX_PARTS)


def collections_in(backup: Backup, contents: BackupContents) -> list[CollectionDetails]:
    if contents.manifest is None:
        return [
            CollectionDetails(
                name=collection["name"],
                rows=collection["rowCount"],
                bytes=collection["sizeBytes"],
                parts=collection["parts"],
            )
            for collection in (backup.collections if contents.problem or contents.is_sample else [])
        ]
    return [
        CollectionDetails(
            name=content.description.name,
            rows=content.rows,
            bytes=content.bytes,
            parts=len(content.parts),
            content=content,
        )
        for content in contents.manifest.collections
    ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoredCollection:
    """Collection that a successful restore has made, and the comparison of its rows."""

    source: str
    target: str
    rows: int
    replaced: bool
    is_identical: bool
    """False if the rows were only counted."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreResult:
    collections: list[RestoredCollection]
    proved: bool
    """True if the restore counts as a test of the backup."""

    @property
    def rows(self) -> int:
        return sum(collection.rows for collection in self.collections)

    @property
    def identical_rows(self) -> int:
        return sum(collection.rows for collection in self.collections if collection.is_identical)


def restore_result_of(job: BackupJob) -> RestoreResult | None:
    """Return the collections that a restore has made and compared. None unless it succeeded."""
    from backups.restore.checkpoint import RestoreCheckpoint

    checkpoint = RestoreCheckpoint(job.task.checkpoint)
    if job.job_type != JobKind.RESTORE or job.task.state != TaskState.SUCCEEDED:
        return None
    return RestoreResult(
        collections=[
            RestoredCollection(
                source=step.source,
                target=step.target,
                rows=step.rows,
                replaced=step.replaces,
                is_identical=step.source in checkpoint.identical,
            )
            for step in checkpoint.steps
        ],
        proved=bool(checkpoint.checkpoint.get("proves")),
    )


def damage_of(principal: Principal, backup: Backup) -> BackupJob | None:
    """Return the job that found the damage, None if a request found it."""
    if not backup.is_damaged:
        return None
    return jobs_of(principal).filter(task__task_id=backup.damaged_by_job).first()
