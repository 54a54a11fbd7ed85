from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from backups import states
from backups.archive.codec import strict_json
from backups.archive.damage import Finding, told
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


def new_backup_id() -> str:
    return new_id("bak")


FOUND_BY_READING = "reading"
"""In `damage_found_by`, where no job came upon the damage."""


class BackupQuerySet(TenantQuerySet["Backup"]):
    def present(self) -> Self:
        """Backups that a tenant sees; what is gone is history."""
        return self.exclude(status=BackupStatus.GONE)

    def available(self) -> Self:
        return self.filter(status=BackupStatus.AVAILABLE)

    def good(self) -> Self:
        """Backups that can be counted on. Everything that chooses one to restore or counts what is
        protected reads this, and `available` only to list what is there.
        """
        return self.filter(states.is_good())

    def damaged(self) -> Self:
        return self.filter(states.is_damaged())

    def mark_damaged(self, *, by: str, findings: Sequence[Finding]) -> int:
        """Count on them no more. `by` is the job that found it, or `FOUND_BY_READING`."""
        damage = [dataclasses.asdict(each) for each in findings]
        return self.update(damage_found_by=by, damage=damage, verified_at=None, proven_at=None)

    def mark_whole(self, *, at: datetime) -> int:
        return self.update(verified_at=at, damage_found_by="", damage=[])


class Backup(models.Model):
    """An artefact that can be restored: a directory in the store whose manifest is the truth.

    What stands here of its contents is copied from the manifest when it is sealed.
    """

    backup_id = models.CharField(primary_key=True, max_length=24, default=new_backup_id)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="backups")
    """Where it was taken from; the row of a deleted cluster stays."""
    name = models.CharField(max_length=128, validators=[NAME])
    db_name = models.CharField(max_length=255)
    status = models.CharField(
        max_length=16, choices=BackupStatus.choices, default=BackupStatus.CREATING
    )
    policy_id = models.CharField(max_length=24, blank=True)
    pinned = models.BooleanField(default=False)
    retention_hold = models.BooleanField(null=True)
    """Its policy's next backup held less, so retention keeps it until somebody releases it, which
    makes this False.
    """
    requested_collections = models.JSONField(default=list)
    """The collections that its policy asked for; none: all that there were."""

    collections = models.JSONField(default=list)
    """Of each collection its name, rows, bytes, number of parts and aliases."""
    row_count = models.PositiveBigIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    milvus_version = models.CharField(max_length=40, blank=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    warnings = models.JSONField(default=list)
    omissions = models.JSONField(default=list)
    """What was asked for and is not in it, in words. Only this makes a backup incomplete: a warning
    may also tell what no backup of its server could hold.
    """

    created_at = models.DateTimeField(auto_now_add=True)
    verified_at = models.DateTimeField(null=True)
    proven_at = models.DateTimeField(null=True)
    damage_found_by = models.CharField(max_length=40, blank=True)
    """What found it damaged, a job or `FOUND_BY_READING`, until a verification finds it whole. Read
    `is_damaged`, `good()` and `damaged()`, which also look at the status.
    """
    damage = models.JSONField(default=list, blank=True)
    """Of each damaged file its name and its problem; read `findings`."""
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
        indexes = [
            models.Index(
                fields=["organization", "-created_at", "-backup_id"], name="backup_newest_first"
            ),
            models.Index(fields=["cluster", "-created_at"], name="backup_by_cluster"),
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
        """The id of the job that found it damaged; empty where a look at its manifest did."""
        return self.damage_found_by if self.damage_found_by != FOUND_BY_READING else ""

    @property
    def findings(self) -> list[Finding]:
        """What is damaged of it; of damage that was noted without its files one that names none."""
        if not self.is_damaged:
            return []
        found = [Finding(**each) for each in self.damage]
        return found or [Finding("", "its archive is not what was sealed")]

    @property
    def damage_text(self) -> str:
        """In one line; empty for a backup that is not damaged."""
        return told(self.findings)

    @property
    def can_be_read(self) -> bool:
        """Its manifest was there and sound when it was last looked at."""
        is_there = self.status == BackupStatus.AVAILABLE
        return is_there and all(each.file != MANIFEST_NAME for each in self.findings)

    @property
    def directory(self) -> str:
        """Where its archive lies below the store's root."""
        return f"{self.organization_id}/{self.backup_id}"


class BackupJob(models.Model):
    """What a task about backups is about; status, progress and times are the task's alone."""

    task = models.OneToOneField(
        Task, primary_key=True, on_delete=models.CASCADE, related_name="backup_job"
    )
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    job_type = models.CharField(max_length=16, choices=JobKind.choices)
    backup = models.ForeignKey(Backup, on_delete=models.PROTECT, related_name="jobs")
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="backup_jobs")
    """A restore's target; the source of everything else."""
    db_name = models.CharField(max_length=255)
    collection_names = models.JSONField(default=list)
    options = models.JSONField(default=dict)
    """Of a restore: what to do about conflicts."""
    row_count = models.PositiveBigIntegerField(null=True)
    size_bytes = models.PositiveBigIntegerField(null=True)
    policy_id = models.CharField(max_length=24, blank=True)
    is_cleaned_up = models.BooleanField(default=False)
    """Nothing of it is left in a cluster: no snapshot, no hidden collection. The janitor sees to
    those that have ended and are not.
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
            models.Index(fields=["cluster", "-task"], name="job_by_cluster"),
            models.Index(
                fields=["task"],
                condition=Q(is_cleaned_up=False),
                name="backup_job_cleanup_pending_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_type} {self.backup_id}"

    @property
    def backup_deleted_at(self) -> datetime | None:
        """When the backup went that this job made or used. One that its own job did not finish was
        never there.
        """
        unfinished = self.job_type == JobKind.BACKUP and self.task.state != TaskState.SUCCEEDED
        return None if unfinished else self.backup.deleted_at


class SealedPart(models.Model):
    """A part that lies whole in the store: what the next attempt need not read again."""

    backup = models.ForeignKey(Backup, on_delete=models.CASCADE, related_name="sealed_parts")
    number = models.PositiveIntegerField()
    collection = models.CharField(max_length=255)
    cursor = models.TextField()
    """Where in the pinned snapshot the next part begins."""
    part_json = models.TextField()
    """The JSON of its `Part`; text, because a key may hold NUL and PostgreSQL's JSON may not."""

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
