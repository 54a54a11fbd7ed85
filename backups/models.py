from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Self
from urllib.parse import quote, unquote_to_bytes

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from backups import states
from backups.archive.codec import strict_json
from backups.archive.damage import Finding, summarize
from backups.archive.layout import MANIFEST_NAME
from backups.archive.parts import Part
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from vbase_console.core.ids import new_id
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

RESERVED_NAMES = ("policy", "restore", "org")
NAME = RegexValidator(
    r"^(?!(?:policy|restore|org)\Z)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z",
    "Use 1 to 128 letters, digits, dots, underscores and dashes, a letter or digit first; "
    f"not {', '.join(RESERVED_NAMES)}.",
)

FILLS_NEW_CLUSTER = "fills_new_cluster"
"""Option of a restore whose target was created for it."""


def new_backup_id() -> str:
    return new_id(states.BACKUP_ID_PREFIX)


FOUND_BY_READING = "reading"
"""Value of `damage_found_by` if a request and not a job found the damage."""


class BackupQuerySet(TenantQuerySet["Backup"]):
    def present(self) -> Self:
        """Filter to backups that a tenant sees. Rows in GONE are history."""
        return self.exclude(status=BackupStatus.GONE)

    def available(self) -> Self:
        return self.filter(status=BackupStatus.AVAILABLE)

    def good(self) -> Self:
        """Filter to backups that can be restored completely. Use this to choose or count backups,
        and `available` only to list them.
        """
        return self.filter(states.is_good())

    def damaged(self) -> Self:
        return self.filter(states.is_damaged())

    def mark_damaged(self, *, by: str, findings: Sequence[Finding]) -> int:
        """Record damage. `by` is the id of the job that found it, or `FOUND_BY_READING`."""
        damage = [dataclasses.asdict(finding) for finding in findings]
        return self.update(damage_found_by=by, damage=damage, verified_at=None, proven_at=None)

    def mark_whole(self, *, at: datetime) -> int:
        return self.update(verified_at=at, damage_found_by="", damage=[])


class Backup(models.Model):
    """Backup: a directory in the store with a manifest.

    The columns about its contents are copied from the manifest when the backup is sealed.
    """

    backup_id = models.CharField(primary_key=True, max_length=24, default=new_backup_id)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    cluster = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="backups", db_index=False
    )
    """Source of the backup. The row of a deleted cluster is kept."""
    name = models.CharField(max_length=128, validators=[NAME])
    db_name = models.CharField(max_length=255)
    status = models.CharField(
        max_length=16, choices=BackupStatus.choices, default=BackupStatus.CREATING
    )
    policy_id = models.CharField(max_length=24, blank=True)
    pinned = models.BooleanField(default=False)
    retention_hold = models.BooleanField(null=True)
    """True if retention keeps the backup because the policy's next backup contains less. False
    after a user has released it.
    """
    requested_collections = models.JSONField(default=list)
    """Collections of the policy's selection. Empty: all collections."""

    collections = models.JSONField(default=list)
    """Name, rows, bytes, number of parts and aliases of each collection."""
    row_count = models.PositiveBigIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    milvus_version = models.CharField(max_length=40, blank=True)
    has_access_control = models.BooleanField(default=False)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    origin_backup_id = models.CharField(max_length=64, blank=True)
    origin_organization_id = models.CharField(max_length=64, blank=True)
    """Ids in the manifest of an imported backup, which another console wrote. Read `manifest_ids`.
    """
    warnings = models.JSONField(default=list)
    omissions = models.JSONField(default=list)
    """Requested content that the backup does not contain, in words. Only omissions make a backup
    incomplete; a warning may describe a limit of the server.
    """

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True)
    proven_at = models.DateTimeField(null=True)
    damage_found_by = models.CharField(max_length=40, blank=True)
    """Id of the job that found the damage, or `FOUND_BY_READING`; cleared by a successful
    verification. Read `is_damaged`, `good()` or `damaged()`, which include the status.
    """
    damage = models.JSONField(default=list, blank=True)
    """File name and problem of each damaged file; read `findings`."""
    deleted_at = models.DateTimeField(null=True)

    objects = BackupQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-backup_id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=~Q(status=BackupStatus.GONE),
                name="backup_organization_name_unique",
            ),
            models.CheckConstraint(
                condition=Q(status__in=BackupStatus.values), name="backup_status_check"
            ),
            models.CheckConstraint(
                condition=~Q(status=BackupStatus.AVAILABLE) | ~Q(manifest_sha256=""),
                name="backup_available_manifest_check",
            ),
        ]
        # SQLite compares the status of each row with the parameter of the statement, although the
        # condition of the index implies it. With the status as a column it counts without the rows.
        indexes = [
            models.Index(
                fields=["organization", "-created_at", "-backup_id", "status"],
                condition=~Q(status=BackupStatus.GONE),
                name="backup_newest_first",
            ),
            models.Index(
                fields=["cluster", "organization", "-created_at", "-backup_id", "status"],
                condition=~Q(status=BackupStatus.GONE),
                name="backup_by_cluster",
            ),
            models.Index(
                fields=["cluster", "-created_at", "-backup_id"],
                condition=states.is_good(),
                name="backup_good",
            ),
            models.Index(
                fields=["cluster", "-created_at", "-backup_id"],
                condition=states.is_good() & Q(proven_at__isnull=False),
                name="backup_proven",
            ),
            models.Index(
                fields=["cluster", "-proven_at"],
                condition=states.is_good() & Q(proven_at__isnull=False),
                name="backup_last_proven",
            ),
            models.Index(
                fields=["cluster", "organization", "-created_at", "-backup_id", "status"],
                condition=Q(status=BackupStatus.AVAILABLE),
                name="backup_available",
            ),
            models.Index(
                fields=["cluster", "organization", "damage_found_by", "status"],
                condition=states.is_damaged(),
                name="backup_damaged_of_cluster",
            ),
            models.Index(
                fields=["organization", "-created_at", "-backup_id", "damage_found_by", "status"],
                condition=states.is_damaged(),
                name="backup_damaged_listed",
            ),
            models.Index(
                fields=["-created_at"], condition=states.is_damaged(), name="backup_damaged_newest"
            ),
            models.Index(
                fields=["policy_id", "-created_at", "-backup_id", "status"],
                condition=Q(status=BackupStatus.AVAILABLE),
                name="backup_by_policy",
            ),
            models.Index(fields=["-created_at", "-backup_id"], name="backup_newest_of_all"),
            models.Index(fields=["name"], name="backup_by_name"),
            models.Index(
                fields=["organization", "name"],
                opclasses=["uuid_ops", "varchar_pattern_ops"],
                name="backup_by_prefix",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def lock(self) -> str:
        return f"backup:{self.backup_id}"

    @property
    def is_damaged(self) -> bool:
        return self.status == BackupStatus.AVAILABLE and bool(self.damage_found_by)

    @property
    def damaged_by_job(self) -> str:
        """Id of the job that found the damage, empty if a request found it."""
        return self.damage_found_by if self.damage_found_by != FOUND_BY_READING else ""

    @property
    def findings(self) -> list[Finding]:
        """Damaged files. Damage without recorded files becomes one finding without a name."""
        if not self.is_damaged:
            return []
        findings = [Finding(**finding) for finding in self.damage]
        return findings or [Finding("", "its archive is not what was sealed")]

    @property
    def damage_text(self) -> str:
        return summarize(self.findings)

    @property
    def can_be_read(self) -> bool:
        """True unless the manifest was missing or damaged at its last reading."""
        has_manifest = all(finding.file != MANIFEST_NAME for finding in self.findings)
        return self.status == BackupStatus.AVAILABLE and has_manifest

    @property
    def directory(self) -> str:
        return f"{self.organization_id}/{self.backup_id}"

    @property
    def manifest_ids(self) -> tuple[str, str]:
        """Ids of the backup and of its organization that the manifest must contain."""
        backup_id = self.origin_backup_id or self.backup_id
        return backup_id, self.origin_organization_id or str(self.organization_id)


class BackupJob(models.Model):
    """Object of a task about backups. Status, progress and times are those of the task."""

    task = models.OneToOneField(
        Task, primary_key=True, on_delete=models.CASCADE, related_name="backup_job"
    )
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    job_type = models.CharField(max_length=16, choices=JobKind.choices)
    backup = models.ForeignKey(
        Backup, on_delete=models.PROTECT, related_name="jobs", db_index=False
    )
    cluster = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="backup_jobs", db_index=False
    )
    """Target of a restore; source of every other job."""
    db_name = models.CharField(max_length=255)
    collection_names = models.JSONField(default=list)
    options = models.JSONField(default=dict)
    """`on_conflict`, `suffix`, `restore_access_control` and `fills_new_cluster` of a restore,
    `include_access_control` of a backup, `on_missing` of a policy's backup.
    """
    row_count = models.PositiveBigIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    policy_id = models.CharField(max_length=24, blank=True)
    is_cleaned_up = models.BooleanField(default=False)
    """True if the cluster contains no snapshot and no hidden collection of the job. The janitor
    cleans up finished jobs.
    """

    objects = TenantQuerySet.as_manager()

    class Meta:
        # Not "-task": that would be the reverse of the order of tasks, which is newest first.
        ordering = ["-task_id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(job_type__in=JobKind.values), name="backup_job_type_check"
            )
        ]
        indexes = [
            models.Index(fields=["organization", "-task"], name="job_by_organization"),
            models.Index(fields=["organization", "job_type", "-task"], name="job_by_type"),
            models.Index(fields=["cluster", "organization", "-task"], name="job_by_cluster"),
            models.Index(fields=["backup", "-task"], name="job_by_backup"),
            models.Index(
                fields=["task"],
                condition=Q(is_cleaned_up=False),
                name="backup_job_cleanup_pending_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_type.capitalize()} of {self.backup_id}"

    @property
    def fills_new_cluster(self) -> bool:
        """True if the restore created its target, which is removed unless the restore succeeds."""
        return bool(self.options.get(FILLS_NEW_CLUSTER))

    @property
    def is_of_clone(self) -> bool:
        """True if other restores fill the same new cluster."""
        if not self.fills_new_cluster:
            return False
        others = BackupJob.objects.filter(cluster=self.cluster_id).exclude(pk=self.pk)
        return others.filter(options__fills_new_cluster=True).exists()

    @property
    def backup_deleted_at(self) -> datetime | None:
        """Deletion time of the job's backup. None if the job itself did not finish its backup."""
        unfinished = self.job_type == JobKind.BACKUP and self.task.state != TaskState.SUCCEEDED
        return None if unfinished else self.backup.deleted_at


def was_restored_again(task_id: str) -> Exists:
    """Match rows whose task, the column `task_id`, is a restore into a new cluster with a backup
    that a later restore has restored. Such a task has no retry, because its target is removed.
    """
    filling = BackupJob.objects.filter(task=OuterRef(task_id), options__fills_new_cluster=True)
    return Exists(
        filling.filter(
            backup__jobs__job_type=JobKind.RESTORE,
            backup__jobs__task__state=TaskState.SUCCEEDED,
            backup__jobs__task__gt=OuterRef(task_id),
        )
    )


class SealedPart(models.Model):
    """Part that is complete in the store, so that the next attempt skips it."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="sealed_parts")
    number = models.PositiveIntegerField()
    collection = models.CharField(max_length=255)
    cursor = models.TextField()
    """Position of the next part in the pinned snapshot."""
    part_json = models.TextField()
    """`Part` as JSON. Text, because a key may contain NUL, which PostgreSQL's JSON refuses."""

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(
                fields=["backup", "number"], name="sealed_part_backup_number_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.backup_id} part {self.number}"

    @property
    def part(self) -> Part:
        return Part.from_json(strict_json(self.part_json.encode()))


class BackupDownload(models.Model):
    """Slot of a download in progress. The backup cannot be deleted until the slot expires."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="downloads")
    expires_at = models.DateTimeField()

    objects = TenantQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"download of {self.backup_id}"


class JobCount(models.Model):
    """Number of the jobs of an organization up to one of them."""

    organization = models.OneToOneField(Organization, on_delete=models.CASCADE, primary_key=True)
    up_to = models.BigIntegerField()
    """Key of that job."""
    count = models.PositiveBigIntegerField()

    objects = TenantQuerySet["JobCount"].as_manager()

    def __str__(self) -> str:
        return f"{self.count} jobs of {self.organization_id}"


class StorageDay(models.Model):
    """Size of the available backups of a cluster at the end of a day (UTC)."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="storage_days")
    day = models.DateField()
    size_bytes = models.PositiveBigIntegerField()

    objects = TenantQuerySet["StorageDay"].as_manager()

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["cluster", "day"], name="storage_day_unique")
        ]
        indexes = [
            models.Index(
                fields=["organization", "day", "size_bytes"], name="storage_by_organization"
            )
        ]

    def __str__(self) -> str:
        return f"{self.cluster_id} on {self.day}"


class StoreScan(models.Model):
    """Position of the janitor in a backup store, which it scans in parts."""

    store = models.CharField(primary_key=True, max_length=1024)
    """Address of the store, as in the settings."""
    after = models.TextField(blank=True)
    """Last key of the part before, percent-encoded, because keys of foreign files may be no text.
    Empty: the next part begins at the beginning.
    """

    def __str__(self) -> str:
        return f"{self.store} behind {self.after or 'the beginning'}"

    @property
    def position(self) -> str:
        return os.fsdecode(unquote_to_bytes(self.after))

    def move(self, last_key: str) -> None:
        self.after = quote(os.fsencode(last_key))
        self.save(update_fields=["after"])
