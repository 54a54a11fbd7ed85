"""Restore of roles, grants and privilege groups (docs/access-control.md).

Existing ones are kept, and no user gets a role: a restore gives no person a right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from backups.archive.access_control import AccessControl, GrantDescription, RoleDescription
from backups.milvus import access_control
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.restore.access_plan import listed, without_grants_for
from backups.restore.checkpoint import PLANNED_GROUPS, PLANNED_ROLES
from vbase_console.tasks.attempts import Attempt

_CREATED_ROLES = "created_roles"
"""Checkpoint key: roles that this restore has created, and may therefore grant privileges."""
_MAX_ATTEMPTS = 3
"""Attempts without progress, after which a server that does not answer is a warning."""

T = TypeVar("T")


def restore_access_control(
    attempt: Attempt, client: Client, wanted: AccessControl, renamed: Collection[tuple[str, str]]
) -> None:
    """Create the planned privilege groups and roles, and grant the new roles their privileges.

    A role that another client has created since the plan is kept. A role of this restore gets no
    grants once it has members.
    """
    checkpoint = attempt.task.checkpoint
    for group in wanted.privilege_groups:
        if group.name in checkpoint[PLANNED_GROUPS]:
            attempt.guard()
            create = partial(access_control.create_privilege_group, client, group)
            _call(attempt, f"Privilege group '{group.name}' was not created", create)
    for role in wanted.roles:
        if role.name in checkpoint[PLANNED_ROLES] and _is_created(attempt, client, role.name):
            _grant(attempt, client, without_grants_for(role, renamed))


def _is_created(attempt: Attempt, client: Client, name: str) -> bool:
    """Create a role, unless this restore did before. Returns False if it is not this restore's."""
    created = attempt.task.checkpoint.get(_CREATED_ROLES, [])
    if name in created:
        return True
    attempt.guard()
    create = partial(access_control.create_role, client, name)
    is_new = _call(attempt, f"Role '{name}' was not created", create)
    if is_new:
        attempt.save_checkpoint(**{_CREATED_ROLES: [*created, name]})
    elif is_new is False:
        attempt.warn(
            f"Role '{name}' was created during the restore and is kept. It got no grants from the "
            "backup."
        )
    return bool(is_new)


def _grant(attempt: Attempt, client: Client, role: RoleDescription) -> None:
    find_members = partial(access_control.members_of, client, role.name)
    members = _call(attempt, f"Role '{role.name}' got no grants", find_members)
    if members:
        attempt.warn(f"Role '{role.name}' got no grants, because it has members: {listed(members)}")
    if members != []:
        return
    refused: list[GrantDescription] = []
    reasons = []
    for grant in role.grants:
        attempt.guard()
        try:
            access_control.grant(client, role.name, grant)
        except MilvusError as error:
            _raise_if_transient(attempt, error)
            refused.append(grant)
            reasons.append(str(error))
    if refused:
        attempt.warn(f"Role '{role.name}' did not get {listed(refused)}: {reasons[0]}")


def _call(attempt: Attempt, problem: str, call: Callable[[], T]) -> T | None:
    """Return the result, or None after a warning."""
    try:
        return call()
    except MilvusError as error:
        _raise_if_transient(attempt, error)
        attempt.warn(f"{problem}: {error}")
        return None


def _raise_if_transient(attempt: Attempt, error: MilvusError) -> None:
    """Let another attempt retry, but not forever: the collections are restored already."""
    if not error.permanent and attempt.attempts_without_progress <= _MAX_ATTEMPTS:
        raise error
