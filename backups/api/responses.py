"""Responses of backups, as in the documented API. Every field is always present."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from backups.models import Backup
from backups.restore.preflight import Preflight
from backups.states import BackupStatus, JobKind
from clusters.api.responses import TaskEventSerializer
from vbase_console.api.fields import TextOrNull
from vbase_console.api.paging import PagedResponse
from vbase_console.api.serializers import ApiResponse, Output
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState


class BackupJobSerializer(Output):
    job_id = serializers.CharField(source="task.task_id")
    job_type = serializers.ChoiceField(choices=JobKind.choices)
    status = serializers.ChoiceField(choices=TaskState.choices, source="task.state")
    progress = serializers.IntegerField(source="task.progress", min_value=0, max_value=100)
    phase = TextOrNull(source="task.phase")
    message = TextOrNull(source="task.message")
    warnings = serializers.ListField(child=serializers.CharField(), source="task.warnings")
    service_id = serializers.CharField(
        source="cluster.service_id", help_text="Target of a restore, source of other jobs."
    )
    organization_id = serializers.CharField()
    backup_name = serializers.CharField(source="backup.name")
    db_name = serializers.CharField()
    collection_names = serializers.ListField(child=serializers.CharField())
    row_count = serializers.IntegerField(
        allow_null=True, help_text="Rows of the job's collections. Null until a backup is written."
    )
    size_bytes = serializers.IntegerField(allow_null=True)
    policy_id = TextOrNull()
    created_at = serializers.DateTimeField(source="task.created_at")
    started_at = serializers.DateTimeField(source="task.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="task.finished_at", allow_null=True)
    backup_deleted_at = serializers.DateTimeField(
        allow_null=True, help_text="Time at which the backup's files were deleted. Null before."
    )
    backup_damaged = serializers.BooleanField(
        source="backup.is_damaged", help_text="True if a file of the backup is damaged."
    )


class BackupJobDetailSerializer(BackupJobSerializer):
    events = serializers.ListField(child=TaskEventSerializer(), source="task.events.all")


class CollectionInBackupSerializer(Output):
    name = serializers.CharField()
    row_count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    parts = serializers.IntegerField(help_text="Number of files with its rows.")
    aliases = serializers.ListField(
        child=serializers.CharField(),
        help_text="Aliases at the time of the backup. A restore accepts them as names.",
    )


class StoredListField(serializers.ListField):
    """Stored as on the wire. Older rows lack the aliases."""

    def to_representation(self, data: list[Any]) -> list[Any]:
        return [{"aliases": [], **collection} for collection in data]


class BackupSerializer(Output):
    backup_name = serializers.CharField(source="name")
    backup_id = serializers.CharField()
    service_id = serializers.CharField(source="cluster.service_id")
    organization_id = serializers.CharField()
    db_name = serializers.CharField()
    status = serializers.ChoiceField(
        choices=[choice for choice in BackupStatus.values if choice != BackupStatus.GONE]
    )
    collections = StoredListField(
        child=CollectionInBackupSerializer(), help_text="Empty until the backup is AVAILABLE."
    )
    row_count = serializers.IntegerField(allow_null=True)
    size_bytes = serializers.IntegerField(allow_null=True)
    milvus_version = TextOrNull()
    policy_id = TextOrNull()
    pinned = serializers.BooleanField()
    held = serializers.SerializerMethodField(
        help_text="Kept until released, because the next backup of its policy contains less."
    )
    created_at = serializers.DateTimeField()
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="Time of the last successful verification."
    )
    proven_at = serializers.DateTimeField(
        allow_null=True, help_text="Time of the last restore that compared every row."
    )
    damaged = serializers.BooleanField(
        source="is_damaged",
        help_text="A file differs from the sealed one. Use another backup.",
    )
    damage = TextOrNull(source="damage_text", help_text="Damaged files and their problems.")
    has_access_control = serializers.BooleanField(
        help_text="True if the backup contains users and roles."
    )
    manifest_sha256 = TextOrNull()
    location = serializers.CharField(
        source="directory", help_text="Directory of the backup in the backup store."
    )

    def get_held(self, backup: Backup) -> bool:
        return bool(backup.retention_hold)


class RestoreStepSerializer(Output):
    collection_name = serializers.CharField(source="source", help_text="In the backup.")
    target_name = serializers.CharField(source="target", help_text="Name after the restore.")
    row_count = serializers.IntegerField(source="rows")
    size_bytes = serializers.IntegerField(source="bytes")
    replaces = serializers.BooleanField(help_text="True if an existing collection is replaced.")
    aliases = serializers.ListField(child=serializers.CharField())


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreflightResult:
    preflight: Preflight
    waits_for: Iterable[Task]


class BlockingTaskSerializer(Output):
    operation_id = serializers.CharField(source="task_id")
    kind = serializers.CharField(help_text="Kind of the task or job.")


class PreflightSerializer(Output):
    is_clear = serializers.BooleanField(
        source="preflight.is_clear", help_text="True if the restore is possible."
    )
    db_name = serializers.CharField(source="preflight.db_name")
    creates_database = serializers.BooleanField(source="preflight.creates_database")
    collections = serializers.ListField(child=RestoreStepSerializer(), source="preflight.steps")
    conflicts = serializers.ListField(
        child=serializers.CharField(),
        source="preflight.conflicts",
        help_text="Names and aliases that exist already.",
    )
    refusals = serializers.ListField(
        child=serializers.CharField(),
        source="preflight.refusals",
        help_text="Limits of the server, the disk space or a damaged backup.",
    )
    warnings = serializers.ListField(
        child=serializers.CharField(),
        source="preflight.warnings",
        help_text="Content that the restore changes.",
    )
    notes = serializers.ListField(
        child=serializers.CharField(),
        source="preflight.notes",
        help_text="Information without effect on the restore.",
    )
    required_bytes = serializers.IntegerField(
        source="preflight.required_bytes",
        help_text="Estimate of the disk space needed during the restore.",
    )
    free_bytes = serializers.IntegerField(
        source="preflight.free_bytes",
        allow_null=True,
        help_text="Free disk space of the target. Null if unknown.",
    )
    proves = serializers.BooleanField(
        source="preflight.proves",
        help_text="True if the restore covers the whole backup and compares every row.",
    )
    waits_for = serializers.ListField(
        child=BlockingTaskSerializer(),
        help_text="Tasks of the target that precede the restore.",
    )


class JobResponse(ApiResponse):
    job = BackupJobSerializer()


class JobDetailResponse(ApiResponse):
    job = BackupJobDetailSerializer()


class ListBackupsResponse(PagedResponse):
    jobs = serializers.ListField(child=BackupJobSerializer())


class BackupResponse(ApiResponse):
    backup = BackupSerializer()


class RestoreResponse(ApiResponse):
    job = BackupJobSerializer(required=False, help_text="Absent with dryRun.")
    preflight = PreflightSerializer(required=False, help_text="With dryRun only.")


class TarAnswer(Output):
    """The bytes of a tar. Not JSON."""
