from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backups.api.examples import BACKUP, BACKUP_JOB
from backups.api.requests import IN_ADDRESS, Names, ServiceBody
from backups.policies.preview import MAX_PREVIEW_RUNS
from backups.policies.states import MAX_RETENTION_COUNT, SKIPPED, OnMissing
from backups.policies.validation import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH
from clusters.api.examples import OK, ORGANIZATION, SERVICE
from vbase_console.api.fields import Flag, Instant, LocalInstant, Text, WholeNumber
from vbase_console.api.paging import PagedResponse
from vbase_console.api.serializers import ApiResponse, Output
from vbase_console.tasks.states import TaskState

POLICY = "pol-4h7j0m3p6s9v2y5b"
BACKUP_POLICY: dict[str, Any] = {
    "policyId": POLICY,
    "serviceId": SERVICE,
    "organizationId": ORGANIZATION,
    "name": "nightly",
    "description": "Offsite copy; see the recovery plan.",
    "scheduleCron": "30 3 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "retentionCount": 7,
    "isActive": True,
    "dbName": "default",
    "collectionNames": [],
    "onMissing": "FAIL",
    "includeAccessControl": False,
    "nextRunAt": "2026-11-23T02:30:00Z",
    "lastRunAt": "2026-11-20T02:30:01Z",
    "lastStatus": "SUCCEEDED",
    "createdAt": "2026-11-02T10:00:00Z",
    "updatedAt": "2026-11-02T10:00:00Z",
}
CREATE_POLICY: dict[str, Any] = {
    "name": "nightly",
    "description": "Offsite copy; see the recovery plan.",
    "scheduleCron": "30 3 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "retentionCount": 7,
}
UPDATE_POLICY: dict[str, Any] = {"retentionCount": 14, "collectionNames": ["images"]}
POLICY_ANSWER: dict[str, Any] = {"policy": BACKUP_POLICY, "response": OK}
NEW_POLICY_ANSWER: dict[str, Any] = {
    "policy": BACKUP_POLICY | {"lastRunAt": None, "lastStatus": None},
    "response": OK,
}
POLICIES_ANSWER: dict[str, Any] = {"policies": [BACKUP_POLICY], "total": 1, "response": OK}
RUN_ANSWER: dict[str, Any] = {
    "job": BACKUP_JOB | {"collectionNames": [], "policyId": POLICY},
    "response": OK,
}
PREVIEW_REQUEST: dict[str, Any] = {
    "scheduleCron": "30 3 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "retentionCount": 1,
    "policyId": POLICY,
    "startAt": "2026-11-22T09:15:00Z",
    "count": 2,
}
PREVIEW_ANSWER: dict[str, Any] = {
    "description": "At 03:30 from Monday through Friday",
    "runs": ["2026-11-23T02:30:00Z", "2026-11-24T02:30:00Z"],
    "localRuns": ["2026-11-23T03:30:00+01:00", "2026-11-24T03:30:00+01:00"],
    "wouldKeep": [
        {
            "backupName": BACKUP,
            "backupId": "bak-8k2n5q1s4u7w0y3a",
            "createdAt": "2026-11-22T09:15:00Z",
            "reason": "kept: newest 1",
        }
    ],
    "wouldExpire": [
        {
            "backupName": "default-20261119T023000Z-c41d07",
            "backupId": "bak-2c5f8h1k4n7q0t3w",
            "createdAt": "2026-11-19T02:30:00Z",
            "reason": "expired: 2nd newest",
        }
    ],
    "response": OK,
}


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_RETENTION_COUNT})
class RetentionCount(WholeNumber):
    """Checked by the service, so that all field errors are reported together."""


@extend_schema_field({"type": "string", "enum": OnMissing.values})
class WhenMissing(Text):
    """Checked by the service, so that all field errors are reported together."""


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_PREVIEW_RUNS, "default": 10})
class RunCount(WholeNumber):
    """Checked by the preview."""


SCHEDULE: dict[str, Any] = {
    "help_text": "Five fields of cron(8), or one of @hourly @daily @midnight @weekly @monthly "
    "@yearly @annually."
}
NAME = (
    "Unique among the policies of the service. Default at creation: the schedule in words, "
    "numbered if taken."
)
DESCRIPTION = "Free text for readers."
ZONE = "A zone of the IANA database, such as Europe/Berlin."
RETAINED = "Number of complete backups to keep."
EVERY_COLLECTION = "Empty: every collection at run time."
ON_MISSING = "Handling of a selected collection that is missing at run time."
INCLUDE_ACCESS_CONTROL = (
    "Also back up users (names only), roles, grants and privilege groups. Default: false."
)


class CreateBackupPolicyRequest(ServiceBody):
    name = Text(required=False, allow_blank=True, max_length=MAX_NAME_LENGTH, help_text=NAME)
    description = Text(
        required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH, help_text=DESCRIPTION
    )
    schedule_cron = Text(allow_blank=True, **SCHEDULE)
    timezone = Text(required=False, allow_blank=True, help_text=f"{ZONE} Default: UTC.")
    retention_count = RetentionCount(help_text=RETAINED)
    is_active = Flag(required=False, help_text="Default: true.")
    db_name = Text(
        required=False, allow_blank=True, max_length=255, help_text="Default: `default`."
    )
    collection_names = Names(required=False, help_text=EVERY_COLLECTION)
    on_missing = WhenMissing(required=False, help_text=ON_MISSING)
    include_access_control = Flag(required=False, help_text=INCLUDE_ACCESS_CONTROL)


class PolicyBody(ServiceBody):
    policy_id = Text(required=False, help_text=IN_ADDRESS)


class UpdateBackupPolicyRequest(PolicyBody):
    """Fields that are left out keep their values."""

    name = Text(required=False, allow_blank=True, max_length=MAX_NAME_LENGTH, help_text=NAME)
    description = Text(
        required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH, help_text=DESCRIPTION
    )
    schedule_cron = Text(required=False, allow_blank=True, **SCHEDULE)
    timezone = Text(required=False, allow_blank=True, help_text=ZONE)
    retention_count = RetentionCount(required=False, help_text=RETAINED)
    is_active = Flag(required=False, help_text="False pauses the policy: no runs are planned.")
    db_name = Text(required=False, allow_blank=True, max_length=255)
    collection_names = Names(required=False, help_text=EVERY_COLLECTION)
    on_missing = WhenMissing(required=False, help_text=ON_MISSING)
    include_access_control = Flag(required=False, help_text=INCLUDE_ACCESS_CONTROL)


class PreviewBackupPolicyRequest(ServiceBody):
    schedule_cron = Text(allow_blank=True, **SCHEDULE)
    timezone = Text(required=False, allow_blank=True, help_text=f"{ZONE} Default: UTC.")
    retention_count = RetentionCount(help_text=RETAINED)
    policy_id = Text(
        required=False,
        allow_blank=True,
        help_text="Policy of this service whose backups are included in the preview.",
    )
    start_at = Instant(required=False, help_text="Runs after this instant. Default: now.")
    count = RunCount(required=False, help_text="Number of runs.")


class BackupPolicySerializer(Output):
    policy_id = serializers.CharField()
    service_id = serializers.CharField(source="cluster.service_id")
    organization_id = serializers.CharField()
    name = serializers.CharField(
        max_length=MAX_NAME_LENGTH, help_text="Unique among the policies of the service."
    )
    description = serializers.CharField(max_length=MAX_DESCRIPTION_LENGTH)
    schedule_cron = serializers.CharField(help_text="As entered.")
    timezone = serializers.CharField()
    retention_count = serializers.IntegerField(min_value=1, max_value=MAX_RETENTION_COUNT)
    is_active = serializers.BooleanField()
    db_name = serializers.CharField()
    collection_names = serializers.ListField(
        child=serializers.CharField(), help_text="Empty: every collection at run time."
    )
    on_missing = serializers.ChoiceField(choices=OnMissing.values)
    include_access_control = serializers.BooleanField()
    next_run_at = serializers.DateTimeField(
        allow_null=True, help_text="Null while the policy is paused."
    )
    last_run_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.ChoiceField(
        choices=[*TaskState.values, SKIPPED],
        allow_null=True,
        help_text="Status of the job of the newest run, or SKIPPED if there is no job.",
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RetentionPreviewSerializer(Output):
    backup_name = serializers.CharField()
    backup_id = serializers.CharField()
    created_at = serializers.DateTimeField()
    reason = serializers.CharField(help_text="Such as `kept: newest 3` or `expired: 4th newest`.")


class PolicyPreviewSerializer(Output):
    description = serializers.CharField(help_text="The schedule in words.")
    runs = serializers.ListField(child=serializers.DateTimeField())
    local_runs = serializers.ListField(
        child=LocalInstant(), help_text="The same instants in the policy's time zone."
    )
    would_keep = serializers.ListField(child=RetentionPreviewSerializer())
    would_expire = serializers.ListField(child=RetentionPreviewSerializer())


class PolicyPreviewResponse(ApiResponse, PolicyPreviewSerializer):
    pass


class PolicyResponse(ApiResponse):
    policy = BackupPolicySerializer()


class ListPoliciesResponse(PagedResponse):
    policies = serializers.ListField(child=BackupPolicySerializer())
