"""Read and create users, roles, grants and privilege groups of a server."""

from __future__ import annotations

import contextlib
from typing import Any

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.access_control import (
    AccessControl,
    GrantDescription,
    PrivilegeGroupDescription,
    RoleDescription,
)
from backups.milvus.answers import require_few_listings
from backups.milvus.client import Client
from backups.milvus.errors import MilvusNotFound, NotOffered, Refused

BUILT_IN_ROLES = frozenset(["admin", "public"])
_GRANTS_BY_PRIVILEGE_SINCE = (2, 5, 0)
"""Newer servers derive the type of the object from the privilege, and grant privilege groups."""
_LISTINGS = 5
_ALREADY_EXISTS = ("already exist", "already been created", "duplicate")


def read_access_control(client: Client) -> AccessControl | None:
    """List everything. Returns None if the server has no access control.

    The listing takes several calls. It is repeated if a role or a database was dropped meanwhile.
    Raises MilvusError if the credential does not permit it.
    """
    for _ in range(_LISTINGS - 1):
        with contextlib.suppress(MilvusNotFound, Refused):
            return _list(client)
    return _list(client)


def _list(client: Client) -> AccessControl | None:
    try:
        users = client.call("ListCredUsers", milvus_pb2.ListCredUsersRequest()).usernames
    except NotOffered:
        return None
    request = milvus_pb2.SelectRoleRequest(include_user_info=True)
    roles = client.call("SelectRole", request).results
    databases = client.databases()
    require_few_listings(len(roles), len(databases))
    return AccessControl(
        users=tuple(sorted(users)),
        roles=tuple(
            RoleDescription(
                name=role.role.name,
                members=tuple(sorted(user.name for user in role.users)),
                grants=_grants_of(client, role.role.name, databases),
            )
            for role in sorted(roles, key=lambda role: role.role.name)
        ),
        privilege_groups=_privilege_groups(client),
    )


def members_of(client: Client, role: str) -> list[str]:
    request = milvus_pb2.SelectRoleRequest(include_user_info=True)
    request.role.name = role
    return sorted(
        user.name for result in client.call("SelectRole", request).results for user in result.users
    )


def create_role(client: Client, name: str) -> bool:
    """Create a role. Returns False if it exists already."""
    request = milvus_pb2.CreateRoleRequest(entity=milvus_pb2.RoleEntity(name=name))
    return _created(client, "CreateRole", request)


def create_privilege_group(client: Client, group: PrivilegeGroupDescription) -> bool:
    """Create a privilege group with its privileges. Returns False if it exists already."""
    request = milvus_pb2.CreatePrivilegeGroupRequest(group_name=group.name)
    if not _created(client, "CreatePrivilegeGroup", request):
        return False
    change = milvus_pb2.OperatePrivilegeGroupRequest(
        group_name=group.name,
        type=milvus_pb2.AddPrivilegesToGroup,
        privileges=[milvus_pb2.PrivilegeEntity(name=name) for name in group.privileges],
    )
    client.call("OperatePrivilegeGroup", change)
    return True


def grant(client: Client, role: str, description: GrantDescription) -> None:
    """Give a privilege to a role. An existing grant is no error."""
    privilege = milvus_pb2.PrivilegeEntity(name=description.privilege)
    grantor = milvus_pb2.GrantorEntity(privilege=privilege)
    if client.server().number >= _GRANTS_BY_PRIVILEGE_SINCE:
        request = milvus_pb2.OperatePrivilegeV2Request(
            role=milvus_pb2.RoleEntity(name=role),
            grantor=grantor,
            type=milvus_pb2.Grant,
            db_name=description.database,
            collection_name=description.object_name,
        )
        client.call("OperatePrivilegeV2", request)
        return
    entity = milvus_pb2.GrantEntity(
        role=milvus_pb2.RoleEntity(name=role),
        object=milvus_pb2.ObjectEntity(name=description.object_type),
        object_name=description.object_name,
        grantor=grantor,
        db_name=description.database,
    )
    request = milvus_pb2.OperatePrivilegeRequest(entity=entity, type=milvus_pb2.Grant)
    client.call("OperatePrivilege", request)


def _created(client: Client, method: str, request: Any) -> bool:
    try:
        client.call(method, request)
    except Refused as error:
        if any(text in str(error).lower() for text in _ALREADY_EXISTS):
            return False
        raise
    return True


def _grants_of(client: Client, role: str, databases: list[str]) -> tuple[GrantDescription, ...]:
    """List the grants of each database, because servers list one database at a time."""
    grants = set()
    for database in databases:
        request = milvus_pb2.SelectGrantRequest()
        request.entity.role.name = role
        request.entity.db_name = database
        for entity in client.call("SelectGrant", request).entities:
            grants.add(
                GrantDescription(
                    object_type=entity.object.name,
                    object_name=entity.object_name,
                    database=entity.db_name or database,
                    privilege=entity.grantor.privilege.name,
                )
            )
    return tuple(sorted(grants))


def _privilege_groups(client: Client) -> tuple[PrivilegeGroupDescription, ...]:
    """List the groups, or none if the server has none, as before Milvus 2.5."""
    try:
        answer = client.call("ListPrivilegeGroups", milvus_pb2.ListPrivilegeGroupsRequest())
    except NotOffered:
        return ()
    groups = {group.group_name: group.privileges for group in answer.privilege_groups}
    return tuple(
        PrivilegeGroupDescription(
            name=name, privileges=tuple(sorted(privilege.name for privilege in groups[name]))
        )
        for name in sorted(groups)
    )
