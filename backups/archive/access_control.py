"""Users, roles, grants and privilege groups of a server, as a backup holds them.

Passwords are no part of it. Only names of users are stored.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

from backups.archive.codec import FormatError, JsonModel

MAX_NAMES = 10_000
"""Maximum number of users, of roles, of privilege groups and of grants."""


@dataclasses.dataclass(frozen=True, kw_only=True, order=True)
class GrantDescription(JsonModel):
    """One privilege of a role. `*` stands for all objects or all databases."""

    object_type: str
    """Name in Milvus: Collection, Global, User."""
    object_name: str
    database: str
    privilege: str
    """Name of a privilege or of a privilege group."""

    def __str__(self) -> str:
        return f"{self.privilege} on {self.object_type} {self.object_name} in {self.database}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoleDescription(JsonModel):
    name: str
    members: tuple[str, ...]
    """Users that have the role."""
    grants: tuple[GrantDescription, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrivilegeGroupDescription(JsonModel):
    name: str
    privileges: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccessControl(JsonModel):
    """Access control of a whole server, because no part of it belongs to one database."""

    users: tuple[str, ...]
    roles: tuple[RoleDescription, ...]
    privilege_groups: tuple[PrivilegeGroupDescription, ...]

    def __post_init__(self) -> None:
        _check_names(self.users, "users")
        _check_names((role.name for role in self.roles), "roles")
        _check_names((group.name for group in self.privilege_groups), "privilege_groups")
        if sum(len(role.grants) for role in self.roles) > MAX_NAMES:
            raise FormatError(f"access_control: there are more than {MAX_NAMES} grants")

    def __str__(self) -> str:
        counts = {
            "user": len(self.users),
            "role": len(self.roles),
            "privilege group": len(self.privilege_groups),
        }
        return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for word, n in counts.items())


def _check_names(names: Iterable[str], label: str) -> None:
    counts = Counter(names)
    if len(counts) > MAX_NAMES:
        raise FormatError(f"access_control: there are more than {MAX_NAMES} {label}")
    if duplicates := sorted(name for name, count in counts.items() if count > 1):
        raise FormatError(f"access_control: {label} {duplicates} are duplicated")
