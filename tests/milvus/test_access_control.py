"""Calls about roles that differ between versions of Milvus."""

from __future__ import annotations

from typing import Any

import pytest
from pymilvus.grpc_gen import milvus_pb2

from backups.archive.access_control import GrantDescription, PrivilegeGroupDescription
from backups.milvus import access_control
from backups.milvus.client import Client
from backups.milvus.errors import NotOffered, Refused
from backups.milvus.server import ServerInfo

GRANT = GrantDescription(
    object_type="Collection", object_name="docs", database="default", privilege="Query"
)
GROUP = PrivilegeGroupDescription(name="reading", privileges=("Query", "Search"))


class Recorder:
    """A server of a version that accepts every call and records it."""

    def __init__(self, version: str, *, refusal: str = "") -> None:
        self.sent: list[tuple[str, Any]] = []
        self._version = version
        self._refusal = refusal

    def server(self) -> ServerInfo:
        return ServerInfo(version=self._version)

    def call(self, method: str, request: Any) -> None:
        self.sent.append((method, request))
        if self._refusal:
            raise Refused(self._refusal, permanent=True)


def test_a_grant_names_the_type_of_its_object_before_milvus_2_5() -> None:
    recorder: Any = Recorder("v2.4.17")
    access_control.grant(recorder, "reader", GRANT)
    ((method, request),) = recorder.sent
    assert (method, request.entity.object.name) == ("OperatePrivilege", "Collection")
    assert (request.entity.db_name, request.entity.object_name) == ("default", "docs")


def test_a_grant_names_only_the_privilege_since_milvus_2_5() -> None:
    recorder: Any = Recorder("v2.5.4")
    access_control.grant(recorder, "reader", GRANT)
    ((method, request),) = recorder.sent
    assert method == "OperatePrivilegeV2"
    assert (request.role.name, request.grantor.privilege.name) == ("reader", "Query")
    assert (request.db_name, request.collection_name) == ("default", "docs")


def test_a_privilege_group_is_created_with_its_privileges() -> None:
    recorder: Any = Recorder("v2.5.4")
    assert access_control.create_privilege_group(recorder, GROUP)
    assert [method for method, _ in recorder.sent] == [
        "CreatePrivilegeGroup",
        "OperatePrivilegeGroup",
    ]
    assert [each.name for each in recorder.sent[1][1].privileges] == ["Query", "Search"]


def test_a_privilege_group_that_exists_gets_no_privileges() -> None:
    recorder: Any = Recorder("v2.5.4", refusal="privilege group name [reading] already exist")
    assert not access_control.create_privilege_group(recorder, GROUP)
    assert len(recorder.sent) == 1


def test_another_refusal_is_an_error() -> None:
    recorder: Any = Recorder("v2.5.4", refusal="role number exceeds the limit")
    with pytest.raises(Refused):
        access_control.create_role(recorder, "reader")


def test_the_embedded_engine_has_none(milvus: Client) -> None:
    assert access_control.read_access_control(milvus) is None


def test_a_role_that_is_dropped_while_roles_are_listed_is_left_out() -> None:
    class Busy(Recorder):
        """A server on which another client drops a role between two calls."""

        def databases(self) -> list[str]:
            return ["default"]

        def call(self, method: str, request: Any) -> Any:
            self.sent.append((method, request))
            listings = [name for name, _ in self.sent].count("SelectRole")
            if method == "ListCredUsers":
                return milvus_pb2.ListCredUsersResponse(usernames=["root"])
            if method == "SelectRole":
                names = ["dropped", "kept"] if listings == 1 else ["kept"]
                roles = [milvus_pb2.RoleEntity(name=name) for name in names]
                results = [milvus_pb2.RoleResult(role=role) for role in roles]
                return milvus_pb2.SelectRoleResponse(results=results)
            if method == "SelectGrant" and request.entity.role.name == "dropped":
                raise Refused("not found the role", permanent=True)
            if method == "SelectGrant":
                return milvus_pb2.SelectGrantResponse()
            raise NotOffered(method, permanent=True)

    busy: Any = Busy("v2.3.5")
    found = access_control.read_access_control(busy)
    assert found is not None
    assert [role.name for role in found.roles] == ["kept"]
