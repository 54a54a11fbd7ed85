"""The rights of each role are data, and these tests state them."""

from __future__ import annotations

import pytest

from vbase_console.organizations.scopes import (
    ALL_SCOPES,
    ANY_MEMBER,
    GET_SERVICE_ACCESS,
    MANAGE_ORGANIZATION,
    SCOPES_OF_ROLE,
    Role,
)

DELETING = {scope for scope in ALL_SCOPES if scope.startswith("Delete")}
READING = {scope for scope in ALL_SCOPES if scope.startswith(("Get", "List"))}


def test_a_viewer_reads_everything_but_access_tokens() -> None:
    assert SCOPES_OF_ROLE[Role.VIEWER] == READING - {GET_SERVICE_ACCESS}


def test_an_operator_does_everything_but_delete() -> None:
    assert SCOPES_OF_ROLE[Role.OPERATOR] == set(ALL_SCOPES) - DELETING


def test_an_admin_does_everything_with_clusters_and_backups() -> None:
    assert SCOPES_OF_ROLE[Role.ADMIN] == set(ALL_SCOPES)


def test_only_an_owner_manages_members_and_keys() -> None:
    managing = [role for role in Role if MANAGE_ORGANIZATION in SCOPES_OF_ROLE[role]]
    assert managing == [Role.OWNER]


@pytest.mark.parametrize("scope", [ANY_MEMBER, MANAGE_ORGANIZATION])
def test_no_key_can_carry_what_is_not_public(scope: str) -> None:
    assert scope not in ALL_SCOPES


def test_there_are_the_fourteen_public_scopes() -> None:
    assert len(set(ALL_SCOPES)) == len(ALL_SCOPES) == 14
