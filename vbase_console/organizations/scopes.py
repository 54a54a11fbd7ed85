"""Scopes and roles as data. The names are the public ones of the documented API."""

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
"""What every member and every key may do; not a scope that a key can carry."""
MANAGE_ORGANIZATION = "ManageOrganization"
"""Members and keys: what owners may do, on the pages only; not a scope that a key can carry."""


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer: sees everything but how to connect"
    OPERATOR = "operator", "Operator: everything but deleting"
    ADMIN = "admin", "Admin: everything with clusters and backups"
    OWNER = "owner", "Owner: admin, and members and keys"


SCOPES_OF_ROLE: dict[str, frozenset[str]] = {
    Role.VIEWER: READING,
    Role.OPERATOR: frozenset(s for s in ALL_SCOPES if not s.startswith("Delete")),
    Role.ADMIN: frozenset(ALL_SCOPES),
    Role.OWNER: frozenset({*ALL_SCOPES, MANAGE_ORGANIZATION}),
}


def roles_with(scope: str) -> list[str]:
    """From the one that may the least on; as one speaks of them."""
    return [f"{role.value}s" for role in Role if scope in SCOPES_OF_ROLE[role]]
