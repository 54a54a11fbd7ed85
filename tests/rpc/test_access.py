"""Every rpc without a key, with a wrong one, as a stranger and without its scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from google.protobuf.json_format import ParseDict

from clusters.models import Cluster
from tests.api.client import Api
from tests.rpc.client import METHODS, method_named
from tests.rpc.world import REQUESTS, World, make_world
from vbase_console.organizations.models import AuditEntry
from vbase_console.organizations.scopes import ALL_SCOPES, ANY_MEMBER
from vbase_console.rpc.calls import Result, UnaryCall

pytestmark = pytest.mark.django_db(transaction=True)
CLOSED = [name for name, (_, method) in METHODS.items() if not method.operation.is_public]
NAMES_NOTHING = {
    "GetMe": "it is about the key",
    "Search": "it finds objects of the key's organization",
    "CreateCluster": "it makes an object of the key's organization",
    "AttachCluster": "it makes an object of the key's organization",
    "ListRollouts": "it lists those of the key's organization",
}
"""Call → why a stranger is answered."""
SCOPED = [name for name in CLOSED if method_named(name).operation.scope != ANY_MEMBER]
BY_OBJECT = [name for name in CLOSED if name not in SCOPED and name not in ("GetMe", "Search")]


@pytest.fixture
def world(make_cluster: Callable[..., Cluster]) -> World:
    return make_world(make_cluster)


def called(name: str, key: str | None, request: dict[str, Any]) -> Result:
    method = method_named(name)
    metadata = {"authorization": f"Bearer {key}"} if key else {}
    return UnaryCall(method, ParseDict(request, method.request()), metadata, "192.0.2.7").run()


@pytest.mark.parametrize("name", CLOSED)
def test_a_key_is_required(name: str, db: None) -> None:
    assert called(name, None, {}).code == "UNAUTHENTICATED"
    assert called(name, "wrong.key", {}).code == "UNAUTHENTICATED"


def test_no_call_of_a_stranger_finds_anything(world: World, stranger: Api) -> None:
    answered = {
        name: called(name, stranger.key, REQUESTS[name](world)).code
        for name in CLOSED
        if name not in NAMES_NOTHING
    }
    assert answered == dict.fromkeys(answered, "NOT_FOUND")


def test_an_organization_in_the_message_is_not_found_for_a_stranger(
    world: World, stranger: Api
) -> None:
    for name in CLOSED:
        method = method_named(name)
        if "organization_id" in method.descriptor.input_type.fields_by_name:
            request = REQUESTS[name](world) | world.organization
            assert called(name, stranger.key, request).code == "NOT_FOUND", name


def test_no_call_is_answered_without_its_scope(world: World, key_with: Callable[..., Api]) -> None:
    for name in SCOPED:
        others = [scope for scope in ALL_SCOPES if scope != method_named(name).operation.scope]
        result = called(name, key_with(*others).key, REQUESTS[name](world))
        assert result.code == "PERMISSION_DENIED", name


def test_a_scope_that_depends_on_the_object_is_required(
    world: World, key_with: Callable[..., Api]
) -> None:
    key = key_with("GetCluster", "ListBackups").key
    answered = {name: called(name, key, REQUESTS[name](world)).code for name in BY_OBJECT}
    assert answered == dict.fromkeys(answered, "PERMISSION_DENIED")


def test_a_refused_change_leaves_an_audit_row(world: World, key_with: Callable[..., Api]) -> None:
    changes = [name for name in CLOSED if method_named(name).operation.changes]
    key = key_with("ListVBaseService").key
    for name in changes:
        called(name, key, REQUESTS[name](world))
    rows = AuditEntry.objects.filter(interface="grpc", outcome="REFUSED", source="192.0.2.7")
    assert sorted(rows.values_list("action", flat=True)) == sorted(changes)


def test_wrong_keys_are_counted_like_those_of_rest(
    db: None, api: Api, settings: Any, alice: User
) -> None:
    settings.WRONG_KEYS_PER_MINUTE = 2
    codes = [called("GetMe", "wrong.key", {}).code for _ in range(3)]
    assert codes == ["UNAUTHENTICATED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"]
    assert called("GetMe", api.key, {}).code == "OK"
