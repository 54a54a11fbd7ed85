"""Requests of backups, named as in the documented API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backups.names import MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.states import JobKind, OnConflict
from clusters.api.requests import ClusterResourceConfigRequest, Name
from vbase_console.api.fields import Choice, Flag, Labels, Text, WholeNumber
from vbase_console.api.paging import DEFAULT_PAGE_SIZE, PAGE_HELP, SIZE_HELP, Paging
from vbase_console.api.serializers import Body, Input
from vbase_console.tasks.states import TaskState

UNSPECIFIED = ("", "0", "UNSPECIFIED")
"""Values of an enum that mean none; generated clients add the enum's name as a prefix."""
NO_STATUS = (*UNSPECIFIED, "STATUS_UNSPECIFIED", "BACKUP_STATUS_UNSPECIFIED")
NO_JOB_TYPE = (*UNSPECIFIED, "JOB_TYPE_UNSPECIFIED", "BACKUP_JOB_TYPE_UNSPECIFIED")
IN_ADDRESS = "Default: the id in the address."


@extend_schema_field(
    {
        "type": "string",
        "pattern": r"^(?!(policy|restore|org)$)[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        "description": "Unique in the organization. Default: database, time and six letters.",
    }
)
class BackupName(Text):
    """Name of a backup. The service checks it; the pattern documents it."""


class Names(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=Text(allow_blank=False, max_length=255),
            max_length=MAX_COLLECTIONS,
            error_messages={"max_length": TOO_MANY_COLLECTIONS},
            **options,
        )


class ServiceBody(Body):
    service_id = Text(required=False, help_text=IN_ADDRESS)


class CreateBackupRequest(ServiceBody):
    db_name = Text(
        required=False, allow_blank=True, max_length=255, help_text="Default: `default`."
    )
    collection_names = Names(allow_empty=False, help_text="At least one.")
    backup_name = BackupName(required=False, allow_blank=True)
    include_access_control = Flag(
        required=False,
        help_text="Also back up users (names only), roles, grants and privilege groups of the "
        "server. Default: false.",
    )


class NewClusterRequest(Input):
    name = Name()
    resource_config = ClusterResourceConfigRequest(required=False)
    labels = Labels(required=False)


class RestoreBackupRequest(ServiceBody):
    service_id = Text(
        required=False,
        help_text="Target, or with newCluster the service of the backup. Default: the id in the "
        "address.",
    )
    backup_name = Text(help_text="Backup of any service of the organization.")
    new_cluster = NewClusterRequest(
        required=False,
        help_text="Create this cluster and restore into it. It is removed if the restore fails or "
        "is cancelled. Requires the scope CreateCluster.",
    )
    db_name = Text(
        required=False,
        allow_blank=True,
        max_length=255,
        help_text="Default: the database of the backup.",
    )
    collection_names = Names(required=False, help_text="Empty: all collections of the backup.")
    on_conflict = Choice(
        [choice.value for choice in OnConflict],
        required=False,
        help_text="Handling of an existing collection. Default: FAIL.",
    )
    suffix = Text(
        required=False, allow_blank=True, help_text="Appended to existing names, with RENAME."
    )
    restore_access_control = Flag(
        required=False,
        help_text="Also create the roles, grants and privilege groups that do not exist. Existing "
        "ones are kept, and no user gets a role. Default: false.",
    )
    dry_run = Flag(
        required=False, help_text="Preview the restore in `preflight`. Nothing is changed."
    )


class BackupBody(ServiceBody):
    backup_name = Text(required=False, help_text=IN_ADDRESS)


class JobBody(Body):
    job_id = Text(required=False, help_text=IN_ADDRESS)


class JobFilters(Input):
    """Filters of job lists. An empty value means any."""

    job_type = Choice(JobKind.values, unnamed=NO_JOB_TYPE, required=False, allow_blank=True)
    status = Choice(TaskState.values, unnamed=NO_STATUS, required=False, allow_blank=True)
    db_name = Text(required=False, allow_blank=True)
    policy_id = Text(required=False, allow_blank=True)


class ListBackupsQuery(JobFilters, Paging):
    pass


class ListBackupByOrgRequest(JobFilters, Body):
    service_id = Text(required=False, allow_blank=True, help_text="Only jobs of this service.")
    page = WholeNumber(required=False, min_value=0, default=1, help_text=PAGE_HELP)
    page_size = WholeNumber(
        required=False,
        min_value=0,
        default=DEFAULT_PAGE_SIZE,
        help_text=SIZE_HELP,
    )
