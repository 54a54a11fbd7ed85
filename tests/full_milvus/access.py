"""Users and roles of a full Milvus, with names of this process alone: they belong to the server."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pymilvus import MilvusClient

PASSWORD = "a long password"
READING = (
    *(
        ("Global", privilege, "*")
        for privilege in ("ListDatabases", "ShowCollections", "DescribeCollection", "ListAliases")
    ),
    *(("Collection", privilege, "*") for privilege in ("ShowPartitions", "IndexDetail", "Query")),
)
"""Privileges of a user that may only read: docs/attached-clusters.md."""


def unused(word: str) -> str:
    return f"{word}_{uuid.uuid4().hex[:8]}"


@dataclasses.dataclass
class Accounts:
    """Roles and users that are removed after the test."""

    client: MilvusClient
    roles: list[str] = dataclasses.field(default_factory=list)
    users: list[str] = dataclasses.field(default_factory=list)

    def role(self, *grants: tuple[str, str, str], name: str = "") -> str:
        """Create a role with grants, each of a type of object, a privilege and the object."""
        self.roles.append(name := name or unused("role"))
        self.client.create_role(name)
        for object_type, privilege, object_name in grants:
            self.client.grant_privilege(name, object_type, privilege, object_name)
        return name

    def user(self, *roles: str) -> str:
        self.users.append(name := unused("user"))
        self.client.create_user(name, PASSWORD)
        for role in roles:
            self.client.grant_role(name, role)
        return name

    def remove_role(self, name: str) -> None:
        """Drop a role as an administrator does: grants first, because the server requires it."""
        with suppress(Exception):
            for grant in self.client.describe_role(name)["privileges"]:
                self.client.revoke_privilege(
                    name, grant["object_type"], grant["privilege"], grant["object_name"]
                )
            self.client.drop_role(name)

    def remove(self) -> None:
        for user in self.users:
            with suppress(Exception):
                self.client.drop_user(user)
        for role in self.roles:
            self.remove_role(role)


@contextmanager
def accounts_of(client: MilvusClient) -> Iterator[Accounts]:
    accounts = Accounts(client)
    yield accounts
    accounts.remove()
