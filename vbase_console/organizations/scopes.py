"""Scopes and roles as data. Scope names are the operation names of the public API."""

from __future__ import annotations

from django.db import models

CREATE_CLUSTER = "CreateCluster"
GET_CLUSTER = "GetCluster"
SCALE_CLUSTER = "ScaleCluster"
DELETE_CLUSTER = "DeleteCluster"
LIST_SERVICES = "ListVBaseService"
GET_SERVICE = "GetVBaseService"
GET_SERVICE_ACCESS = "GetVBaseServiceAccess"
CREATE_BACKUP = "CreateBackup"
LIST_BACKUPS = "ListBackups"
RESTORE_BACKUP = "RestoreBackup"
DELETE_BACKUP = "DeleteBackup"
CREATE_BACKUP_POLICY = "CreateBackupPolicy"
UPDATE_BACKUP_POLICY = "UpdateBackupPolicy"
DELETE_BACKUP_POLICY = "DeleteBackupPolicy"

ALL_SCOPES = (
    CREATE_CLUSTER,
    GET_CLUSTER,
    SCALE_CLUSTER,
    DELETE_CLUSTER,
    LIST_SERVICES,
    GET_SERVICE,
    GET_SERVICE_ACCESS,
    CREATE_BACKUP,
    LIST_BACKUPS,
    RESTORE_BACKUP,
    DELETE_BACKUP,
    CREATE_BACKUP_POLICY,
    UPDATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
)
READING = frozenset({GET_CLUSTER, LIST_SERVICES, GET_SERVICE, LIST_BACKUPS})

SCOPE_GROUPS: dict[str, dict[str, str]] = {
    "Clusters": {
        LIST_SERVICES: "List the clusters of the organization.",
        GET_SERVICE: "Read one cluster: name, status and version.",
        GET_CLUSTER: "Read the configuration, tasks, metrics and collections of a cluster.",
        GET_SERVICE_ACCESS: "Read endpoint and token. With the token all data can be read and "
        "changed.",
        CREATE_CLUSTER: "Create or attach a cluster.",
        SCALE_CLUSTER: "Scale, upgrade, restart, stop, start and edit a cluster, and rotate its "
        "token.",
        DELETE_CLUSTER: "Delete a cluster with its data.",
    },
    "Backups": {
        LIST_BACKUPS: "Read backups, jobs and policies.",
        CREATE_BACKUP: "Create, verify, pin and release backups.",
        RESTORE_BACKUP: "Restore a backup into a cluster.",
        DELETE_BACKUP: "Delete a backup. It cannot be restored afterwards.",
    },
    "Policies": {
        CREATE_BACKUP_POLICY: "Create a policy and start its runs.",
        UPDATE_BACKUP_POLICY: "Change, pause and resume a policy. A lower count deletes backups.",
        DELETE_BACKUP_POLICY: "Delete a policy. Its backups are kept.",
    },
}
"""Group → scope → effect, for forms."""

SCOPE_PRESETS: dict[str, tuple[str, frozenset[str]]] = {
    "reading": ("Read only", READING),
    "connecting": (
        "Connect applications",
        frozenset({LIST_SERVICES, GET_SERVICE, GET_SERVICE_ACCESS}),
    ),
    "backing-up": ("Back up and restore", READING | {CREATE_BACKUP, RESTORE_BACKUP}),
    "operating": (
        "Everything except deletion",
        frozenset(scope for scope in ALL_SCOPES if not scope.startswith("Delete")),
    ),
    "all": ("All scopes", frozenset(ALL_SCOPES)),
}
"""Preset → label and scopes of a new key. The default is `reading`."""

ANY_MEMBER = "any"
"""Permission of every member and every key. Not a scope of API keys."""
MANAGE_ORGANIZATION = "ManageOrganization"
"""Permission of owners to manage members and keys on the pages. Not a scope of API keys."""


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer: read-only, no connection details"
    OPERATOR = "operator", "Operator: all operations except deletion"
    ADMIN = "admin", "Admin: all operations on clusters and backups"
    OWNER = "owner", "Owner: Admin plus members and API keys"


SCOPES_OF_ROLE: dict[str, frozenset[str]] = {
    Role.VIEWER: READING,
    Role.OPERATOR: frozenset(s for s in ALL_SCOPES if not s.startswith("Delete")),
    Role.ADMIN: frozenset(ALL_SCOPES),
    Role.OWNER: frozenset({*ALL_SCOPES, MANAGE_ORGANIZATION}),
}


def roles_with(scope: str) -> list[str]:
    """Return the plural names of the roles with this scope, least privileged first."""
    return [f"{role.value}s" for role in Role if scope in SCOPES_OF_ROLE[role]]
