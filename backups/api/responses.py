"""Responses of backups, as in the documented API. Every field is always present."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from backups.models import Backup as BackupRow
from backups.restore.preflight import Preflight as Found
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
        source="cluster.service_id", help_text="Of a restore: the target; else the source."
    )
    organization_id = serializers.CharField()
    backup_name = serializers.CharField(source="backup.name")
    db_name = serializers.CharField()
    collection_names = serializers.ListField(child=serializers.CharField())
    row_count = serializers.IntegerField(
        allow_null=True, help_text="Of what it is about; null until a backup is written."
    )
    size_bytes = serializers.IntegerField(allow_null=True)
    policy_id = TextOrNull()
    created_at = serializers.DateTimeField(source="task.created_at")
    started_at = serializers.DateTimeField(source="task.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="task.finished_at", allow_null=True)
    backup_deleted_at = serializers.DateTimeField(
        allow_null=True, help_text="When the backup's files were gone; null while it is there."
    )
    backup_damaged = serializers.BooleanField(
        source="backup.is_damaged", help_text="The backup cannot be counted on as it is now."
    )


class BackupJobDetailSerializer(BackupJobSerializer):
    events = serializers.ListField(child=TaskEventSerializer(), source="task.events.all")


class CollectionInBackupSerializer(Output):
    name = serializers.CharField()
    row_count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    parts = serializers.IntegerField(help_text="Files that hold its rows.")
    aliases = serializers.ListField(
        child=serializers.CharField(), help_text="That it had then; a restore takes them as names."
    )


class StoredListField(serializers.ListField):
    """Outgoing: the row keeps it as it is on the wire, but for what older rows lack."""

    def to_representation(self, data: list[Any]) -> list[Any]:
        return [{"aliases": [], **each} for each in data]


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
        help_text="The next backup of its policy held less: it stays until it is released."
    )
    created_at = serializers.DateTimeField()
    verified_at = serializers.DateTimeField(
        allow_null=True, help_text="When the archive was last found whole."
    )
    proven_at = serializers.DateTimeField(
        allow_null=True, help_text="When a restore of it last succeeded, compared row by row."
    )
    damaged = serializers.BooleanField(
        source="is_damaged",
        help_text="Something of it is not as it was sealed: count on another backup.",
    )
    damage = TextOrNull(source="damage_text", help_text="What is damaged of it, file by file.")
    manifest_sha256 = TextOrNull()
    location = serializers.CharField(
        source="directory", help_text="Its directory, relative to the backup store."
    )

    def get_held(self, backup: BackupRow) -> bool:
        return bool(backup.retention_hold)


class RestoreStepSerializer(Output):
    collection_name = serializers.CharField(source="source", help_text="In the backup.")
    target_name = serializers.CharField(source="target", help_text="What it will be called.")
    row_count = serializers.IntegerField(source="rows")
    size_bytes = serializers.IntegerField(source="bytes")
    replaces = serializers.BooleanField(help_text="A collection of that name gives way.")
    aliases = serializers.ListField(child=serializers.CharField())


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreflightResult:
    """Preflight of a restore with the tasks before it."""

    found: Found
    waits_for: Iterable[Task]


class BlockingTaskSerializer(Output):
    operation_id = serializers.CharField(source="task_id")
    kind = serializers.CharField(help_text="Of the task or the job.")


class PreflightSerializer(Output):
    is_clear = serializers.BooleanField(
        source="found.is_clear", help_text="Nothing stands in the way."
    )
    db_name = serializers.CharField(source="found.db_name")
    creates_database = serializers.BooleanField(source="found.creates_database")
    collections = serializers.ListField(child=RestoreStepSerializer(), source="found.steps")
    conflicts = serializers.ListField(
        child=serializers.CharField(),
        source="found.conflicts",
        help_text="Names and aliases that are taken.",
    )
    refusals = serializers.ListField(
        child=serializers.CharField(),
        source="found.refusals",
        help_text="What the target's server cannot take at all, or has no room for.",
    )
    warnings = serializers.ListField(
        child=serializers.CharField(),
        source="found.warnings",
        help_text="What will come back otherwise than it was.",
    )
    notes = serializers.ListField(
        child=serializers.CharField(),
        source="found.notes",
        help_text="What is worth knowing and changes nothing.",
    )
    required_bytes = serializers.IntegerField(
        source="found.required_bytes", help_text="About what the target needs while it runs."
    )
    free_bytes = serializers.IntegerField(
        source="found.free_bytes",
        allow_null=True,
        help_text="What the target can still store; null if unknown.",
    )
    proves = serializers.BooleanField(
        source="found.proves",
        help_text="It brings everything back and compares every row: the backup is proven then.",
    )
    waits_for = serializers.ListField(
        child=BlockingTaskSerializer(),
        help_text="What runs on the target or waits there, before the restore.",
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
    job = BackupJobSerializer(required=False, help_text="Unless dryRun was asked for.")
    preflight = PreflightSerializer(required=False, help_text="With dryRun only.")
