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
