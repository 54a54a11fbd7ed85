"""Plan of a restore of roles, grants and privilege groups (docs/access-control.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

from backups.archive.access_control import (
    AccessControl,
    GrantDescription,
    PrivilegeGroupDescription,
    RoleDescription,
)

_MAX_TEXTS = 50
_MAX_NAMES = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccessPlan:
    """Effect of a restore on the access control of its target."""

    groups: tuple[PrivilegeGroupDescription, ...] = ()
    """Privilege groups to create."""
    roles: tuple[RoleDescription, ...] = ()
    """Roles to create, with the grants that they get."""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def plan_access_control(
    wanted: AccessControl | None,
    existing: AccessControl | None,
    *,
    renamed: Collection[tuple[str, str]] = (),
    server_version: str = "",
) -> AccessPlan:
    """Compare the backup's access control with that of the target. A pure function.

    `renamed` are databases and names of collections that the restore puts elsewhere. Grants for
    them are left out, because the original name may belong to another collection of the target.
    """
    if wanted is None:
        return AccessPlan(warnings=("The backup contains no users and roles to restore.",))
    if existing is None:
        text = (
            f"Milvus {server_version} has no users and roles, so those of the backup are not "
            "restored."
        )
        return AccessPlan(warnings=(text,))
    existing_roles = {role.name: role for role in existing.roles}
    existing_groups = {group.name: group for group in existing.privilege_groups}
    roles = tuple(
        without_grants_for(role, renamed)
        for role in wanted.roles
        if role.name not in existing_roles
    )
    groups = tuple(g for g in wanted.privilege_groups if g.name not in existing_groups)
    warnings = [
        *(text for role in wanted.roles for text in _role_warnings(role, existing_roles, renamed)),
        *_group_warnings(wanted.privilege_groups, existing_groups),
        *_missing_users(wanted, existing),
    ]
    return AccessPlan(
        groups=groups,
        roles=roles,
        warnings=_capped(warnings),
        notes=_capped(
            [
                *(f"Privilege group '{group.name}' is created." for group in groups),
                *(f"Role '{role.name}' is created{_with_grants(role.grants)}." for role in roles),
            ]
        ),
    )


def without_grants_for(
    role: RoleDescription, renamed: Collection[tuple[str, str]]
) -> RoleDescription:
    kept = tuple(grant for grant in role.grants if not _is_of(grant, renamed))
    return dataclasses.replace(role, grants=kept)


def _is_of(grant: GrantDescription, renamed: Collection[tuple[str, str]]) -> bool:
    is_on_collection = grant.object_type == "Collection"
    return is_on_collection and (grant.database, grant.object_name) in renamed


def _role_warnings(
    role: RoleDescription,
    existing: dict[str, RoleDescription],
    renamed: Collection[tuple[str, str]],
) -> Iterator[str]:
    kept = existing.get(role.name)
    if kept is not None:
        missing, further = set(role.grants) - set(kept.grants), set(kept.grants) - set(role.grants)
        if missing or further:
            yield (
                f"Role '{role.name}' exists and keeps its grants. Only in the backup: "
                f"{listed(missing)}. Only on the server: {listed(further)}."
            )
    elif left_out := [grant for grant in role.grants if _is_of(grant, renamed)]:
        yield (
            f"Role '{role.name}' is created without {listed(left_out)}, because the restore puts "
            "these collections under another name."
        )
    if members := set(role.members) - set(kept.members if kept else ()):
        yield (
            f"Role '{role.name}' has the members {listed(members)} in the backup only. A restore "
            "adds no members; add them on the server if they shall have the role."
        )


def _group_warnings(
    wanted: Sequence[PrivilegeGroupDescription], existing: dict[str, PrivilegeGroupDescription]
) -> Iterator[str]:
    for group in wanted:
        kept = existing.get(group.name)
        if kept is not None and set(kept.privileges) != set(group.privileges):
            yield (
                f"Privilege group '{group.name}' exists and keeps its privileges. In the backup it "
                f"has {listed(group.privileges)}, on the server {listed(kept.privileges)}."
            )


def _missing_users(wanted: AccessControl, existing: AccessControl) -> Iterator[str]:
    if missing := set(wanted.users) - set(existing.users):
        yield (
            f"The users {listed(missing)} do not exist on the server. They are not created, "
            "because a backup contains no passwords."
        )


def _with_grants(grants: Sequence[GrantDescription]) -> str:
    return f" with {listed(grants)}" if grants else " without grants"


def listed(values: Collection[object]) -> str:
    texts = sorted(map(str, values))
    more = f" and {len(texts) - _MAX_NAMES} more" if len(texts) > _MAX_NAMES else ""
    return ", ".join(texts[:_MAX_NAMES]) + more if texts else "nothing"


def _capped(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) <= _MAX_TEXTS:
        return tuple(texts)
    return (*texts[:_MAX_TEXTS], f"There are {len(texts) - _MAX_TEXTS} more such differences.")
