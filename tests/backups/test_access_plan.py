"""The plan of a restore of roles: existing ones are kept, and no person gets a right."""

from __future__ import annotations

import pytest

from backups.archive.access_control import (
    AccessControl,
    GrantDescription,
    PrivilegeGroupDescription,
    RoleDescription,
)
from backups.restore.access_plan import plan_access_control


def grant(name: str = "docs", privilege: str = "Query") -> GrantDescription:
    return GrantDescription(
        object_type="Collection", object_name=name, database="default", privilege=privilege
    )


def access_control(
    *roles: RoleDescription, users: tuple[str, ...] = (), groups: tuple[str, ...] = ()
) -> AccessControl:
    return AccessControl(
        users=users,
        roles=roles,
        privilege_groups=tuple(
            PrivilegeGroupDescription(name=name, privileges=("Query",)) for name in groups
        ),
    )


def role(*grants: GrantDescription, members: tuple[str, ...] = ()) -> RoleDescription:
    return RoleDescription(name="reader", members=members, grants=grants)


NOTHING = access_control()


def test_a_missing_role_is_created_with_its_grants() -> None:
    plan = plan_access_control(access_control(role(grant())), NOTHING)
    assert plan.roles == (role(grant()),)
    assert plan.notes == ("Role 'reader' is created with Query on Collection docs in default.",)
    assert plan.warnings == ()


def test_an_existing_role_with_the_same_grants_needs_nothing() -> None:
    same = access_control(role(grant()))
    plan = plan_access_control(same, same)
    assert (plan.roles, plan.warnings, plan.notes) == ((), (), ())


def test_an_existing_role_is_kept_and_its_differences_are_warnings() -> None:
    plan = plan_access_control(
        access_control(role(grant())), access_control(role(grant(privilege="Insert")))
    )
    assert plan.roles == ()
    assert plan.warnings == (
        "Role 'reader' exists and keeps its grants. Only in the backup: Query on Collection docs "
        "in default. Only on the server: Insert on Collection docs in default.",
    )


@pytest.mark.parametrize("found", [NOTHING, access_control(role())])
def test_members_are_named_and_not_added(found: AccessControl) -> None:
    plan = plan_access_control(access_control(role(members=("alice",))), found)
    (warning,) = plan.warnings
    assert "Role 'reader' has the members alice in the backup only." in warning


def test_members_that_a_role_has_already_are_no_difference() -> None:
    same = access_control(role(members=("alice",)), users=("alice",))
    assert plan_access_control(same, same).warnings == ()


def test_missing_users_are_named_because_they_are_not_created() -> None:
    (warning,) = plan_access_control(access_control(users=("alice", "root")), NOTHING).warnings
    assert warning.startswith("The users alice, root do not exist on the server.")


def test_a_missing_privilege_group_is_created() -> None:
    plan = plan_access_control(access_control(groups=("reading",)), NOTHING)
    assert [group.name for group in plan.groups] == ["reading"]


def test_an_existing_privilege_group_is_kept_and_its_differences_are_a_warning() -> None:
    other = PrivilegeGroupDescription(name="reading", privileges=("Insert",))
    found = AccessControl(users=(), roles=(), privilege_groups=(other,))
    plan = plan_access_control(access_control(groups=("reading",)), found)
    assert plan.groups == ()
    assert "exists and keeps its privileges" in plan.warnings[0]


def test_grants_for_a_collection_under_another_name_are_left_out() -> None:
    """The original name may belong to another collection of the target."""
    plan = plan_access_control(
        access_control(role(grant(), grant("other"))), NOTHING, renamed={("default", "docs")}
    )
    assert plan.roles == (role(grant("other")),)
    assert "created without Query on Collection docs in default" in plan.warnings[0]


def test_a_backup_without_users_and_roles_says_so() -> None:
    assert plan_access_control(None, NOTHING).warnings == (
        "The backup contains no users and roles to restore.",
    )


def test_a_server_without_users_and_roles_is_named() -> None:
    plan = plan_access_control(NOTHING, None, server_version="3.2.2")
    assert plan.warnings == (
        "Milvus 3.2.2 has no users and roles, so those of the backup are not restored.",
    )


def test_many_differences_are_summarized() -> None:
    roles = [
        RoleDescription(name=f"role {number}", members=("alice",), grants=())
        for number in range(200)
    ]
    plan = plan_access_control(access_control(*roles), NOTHING)
    assert len(plan.warnings) == len(plan.notes) == 51
    assert plan.warnings[-1] == "There are 150 more such differences."
    assert len(plan.roles) == 200
