"""The JSON mapping of every answer equals the body of the REST call.

A change is made over REST with an idempotency key and repeated over gRPC with the same key, so that
both answers are about the same change. ADR 0018 lists the differences that are normalized here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from backups.api.responses import PreflightSerializer
from clusters.models import Cluster
from tests.api.client import Api, Said
from tests.rpc.client import METHODS, method_named
from tests.rpc.world import NEEDS_MILVUS, REQUESTS, World, make_world
from vbase_console.rpc.calls import Result, UnaryCall
from vbase_console.rpc.methods import Method
from vbase_console.rpc.transcoding import answer_message

pytestmark = pytest.mark.django_db(transaction=True)
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)")


@pytest.fixture
def world(make_cluster: Callable[..., Cluster]) -> World:
    return make_world(make_cluster)


def over_rest(api: Api, method: Method, message: Message) -> Said:
    fields = MessageToDict(message)
    path = method.template
    for variable in method.variables:
        path = path.replace(f"{{{variable}}}", getattr(message, variable))
        fields.pop(message.DESCRIPTOR.fields_by_name[variable].json_name)
    query = {} if method.has_body else {name: _query(value) for name, value in fields.items()}
    return api.send(
        method.http_method,
        path,
        body=fields if method.has_body else None,
        query=query,
        idempotency_key="once",
    )


def _query(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def over_grpc(api: Api, method: Method, message: Message) -> Result:
    metadata = {"authorization": f"Bearer {api.key}", "idempotency-key": "once"}
    return UnaryCall(method, message, metadata, "127.0.0.1").run()


def json_of(message: Message) -> Any:
    """The JSON mapping; int64 as numbers."""
    mapped = MessageToDict(message, always_print_fields_with_no_presence=True)
    return _numbers(mapped, message.DESCRIPTOR)


def _numbers(mapped: dict[str, Any], message: Descriptor) -> dict[str, Any]:
    for field in message.fields:
        if field.json_name in mapped and field.type == FieldDescriptor.TYPE_INT64:
            mapped[field.json_name] = int(mapped[field.json_name])
        elif field.json_name in mapped and field.message_type and not _is_scalar(field):
            inner = mapped[field.json_name]
            for each in inner if field.is_repeated else [inner]:
                _numbers(each, field.message_type)
    return mapped


def _is_scalar(field: FieldDescriptor) -> bool:
    """A map or a time, which is not an object with fields."""
    message = field.message_type
    return message.GetOptions().map_entry or message.full_name.startswith("google.")


def normalized(value: Any) -> Any:
    """Without absent values, and with times as instants."""
    if isinstance(value, dict):
        return {name: normalized(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [normalized(each) for each in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        return datetime.fromisoformat(value)
    return value


@pytest.mark.parametrize("name", [name for name in METHODS if name not in NEEDS_MILVUS])
def test_both_answers_are_equal(name: str, api: Api, world: World) -> None:
    method = method_named(name)
    message = ParseDict(REQUESTS[name](world), method.request())
    said, result = over_rest(api, method, message), over_grpc(api, method, message)
    assert said.status == 200, said.body
    assert result.message is not None, result.status
    assert normalized(json_of(result.message)) == normalized(said.body)
    if method.operation.changes:
        replayed = {"idempotency-replayed": "true", "operation-id": said.header("Operation-Id")}
        assert dict(result.metadata) == {name: text for name, text in replayed.items() if text}


@pytest.mark.parametrize("name", sorted(NEEDS_MILVUS))
def test_both_refusals_are_equal(name: str, api: Api, world: World) -> None:
    """Calls that need a Milvus, which a cluster of the memory driver does not have."""
    method = method_named(name)
    message = ParseDict(REQUESTS[name](world), method.request())
    said, result = over_rest(api, method, message), over_grpc(api, method, message)
    assert result.code == said.code != ""


@pytest.mark.parametrize("name", METHODS)
def test_the_documented_example_is_mapped(name: str) -> None:
    method = method_named(name)
    example = method.operation.answer_example
    assert normalized(json_of(answer_message(method, example))) == normalized(example)


def test_a_dry_run_is_mapped(world: World) -> None:
    step = {"source": "a", "target": "b", "rows": 2**40, "bytes": 1, "replaces": True}
    found = {
        "is_clear": True,
        "db_name": "default",
        "creates_database": False,
        "steps": [step | {"aliases": []}],
        "conflicts": ["a"],
        "refusals": [],
        "warnings": [],
        "notes": ["n"],
        "required_bytes": 2**40,
        "free_bytes": None,
        "proves": True,
    }
    preflight = PreflightSerializer.of({"preflight": found, "waits_for": []})
    body = {"preflight": preflight, "response": {"success": True}}
    message = answer_message(method_named("RestoreBackup"), body)
    assert normalized(json_of(message)) == normalized(body)


def test_an_answer_of_a_newer_console_is_answered() -> None:
    """A change that is committed must not be answered with an error."""
    body = {"success": True, "code": "OK", "message": "done", "addedLater": {"a": [1]}}
    assert answer_message(method_named("StopCluster"), body) == method_named("StopCluster").answer(
        success=True, code="OK", message="done"
    )


def test_a_mask_empties_what_it_names_and_leaves_the_rest(api: Api, world: World) -> None:
    method = method_named("UpdateCluster")
    request = {"cluster_id": world.cluster.pk, "name": "ignored", "update_mask": "labels"}
    over_grpc(api, method, ParseDict(request, method.request()))
    world.cluster.refresh_from_db()
    assert (world.cluster.name, world.cluster.labels) == ("runs", {})


@pytest.mark.parametrize("path", ["retention_limit", "Not a name", "labels.a", "*"])
def test_a_mask_with_an_unknown_field_is_refused(path: str, api: Api, world: World) -> None:
    method = method_named("UpdateBackupPolicy")
    message = ParseDict(world.one_policy, method.request())
    message.update_mask.paths.append(path)
    assert over_grpc(api, method, message).code == "INVALID_ARGUMENT"


def test_a_time_beyond_all_calendars_is_refused_by_name(api: Api, world: World) -> None:
    method = method_named("PreviewBackupPolicy")
    message = ParseDict(REQUESTS["PreviewBackupPolicy"](world), method.request())
    message.start_at.seconds = 10**15
    result = over_grpc(api, method, message)
    assert result.code == "INVALID_ARGUMENT"
    assert "start_at: " in str(result.status)


def test_an_unknown_number_of_an_enum_is_refused(api: Api, world: World) -> None:
    method = method_named("ListServices")
    result = over_grpc(api, method, method.request(status_filter=7))
    assert result.code == "INVALID_ARGUMENT"
