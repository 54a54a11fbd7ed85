"""The proto files say what the endpoints do: the same operations with the same fields."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.api
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FieldDescriptor
from rest_framework import serializers

from tests.api.operations import served
from vbase_console.api.casing import camel
from vbase_console.rpc import watch
from vbase_console.rpc.methods import PROTO, SERVICES, Method, unary_methods

FILES = ("common/msg_resp.proto", "dodil/vbase/v1/vbase.proto", "dodil/vbase/v1/console.proto")
METHODS = [*unary_methods().values(), watch.METHOD]
NOT_JSON: dict[str, str] = {"DownloadBackup": "its answer is a file"}
"""Operation without an rpc → its reason."""
MASK = "update_mask"
DOCUMENTED = {
    *("HealthCheck", "CreateCluster", "GetCluster", "ScaleCluster", "DeleteCluster"),
    *("GetClusterInProgressTasks", "ListServices", "GetService", "GetServiceAccess"),
    *("CreateBackup", "ListBackups", "ListBackupByOrg", "RestoreBackup", "DeleteBackup"),
    *("CreateBackupPolicy", "UpdateBackupPolicy", "DeleteBackupPolicy"),
}
PAGE: dict[str, dict[str, int]] = {
    "CreateClusterRequest": {"organization_id": 1, "name": 2, "resource_config": 4, "labels": 5},
    "ClusterResourceConfig": {
        "version": 8,
        "compute_units": 5,
        "enable_auto_scaling": 6,
        "max_compute_units": 7,
        "enable_replicas": 11,
        "replicas": 12,
    },
    "ScaleClusterRequest": {"cluster_id": 1, "resource_config": 2},
    "CreateBackupRequest": {
        "service_id": 1,
        "organization_id": 2,
        "db_name": 3,
        "collection_names": 4,
        "backup_name": 5,
    },
    "RestoreBackupRequest": {
        "service_id": 1,
        "organization_id": 2,
        "backup_name": 3,
        "db_name": 4,
        "collection_names": 5,
    },
    "CreateBackupPolicyRequest": {
        "service_id": 1,
        "organization_id": 2,
        "schedule_cron": 3,
        "retention_count": 4,
    },
}
"""Message → the numbers of the public page."""


def name_of(method: Method) -> str:
    return method.name


def test_every_operation_has_the_rpc_of_its_name_and_route() -> None:
    operations = {(one.operation.name, one.method, one.path) for one in served()}
    rpcs = {(m.name, m.http_method, m.template) for m in unary_methods().values()}
    assert {one for one in operations if one[0] not in NOT_JSON} == rpcs


def test_the_documented_calls_are_the_documented_service() -> None:
    own = {m.name for m in METHODS if m.descriptor.containing_service.full_name == SERVICES[0]}
    assert own == DOCUMENTED


# -- fields ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_an_answer_has_the_fields_of_the_body(method: Method) -> None:
    assert list(differences(method.operation.answer(), method.descriptor.output_type)) == []


def differences(serializer: Any, message: Any, path: str = "") -> Iterator[str]:
    """Yield the differences between the fields of an answer and those of its message."""
    fields, by_name = serializer.fields, {field.json_name: field for field in message.fields}
    unmatched = fields.keys() ^ by_name.keys()
    if message.full_name == "common.MsgResp":  # `response` of a payload has `success` alone
        unmatched = fields.keys() - by_name.keys()
    yield from (f"{path}{name}: on one side only" for name in unmatched)
    for name in fields.keys() & by_name.keys():
        yield from difference(fields[name], by_name[name], f"{path}{name}")


def difference(ours: Any, field: FieldDescriptor, path: str) -> Iterator[str]:
    is_list = isinstance(ours, serializers.ListField)
    if is_list != (field.is_repeated and not is_map(field)):
        yield f"{path}: a list on one side only"
    can_be_absent = ours.allow_null or not (ours.required or ours.read_only)
    if not is_list and can_be_absent and not field.has_presence and path not in ZERO_FOR_NULL:
        yield f"{path}: null, so `optional` is missing"
    value = ours.child if is_list else ours
    if isinstance(value, serializers.BaseSerializer):
        yield from differences(value, field.message_type, f"{path}.")
    elif isinstance(value, serializers.ChoiceField) and field.enum_type:
        yield from (
            f"{path}: no {choice}"
            for choice in value.choices
            if choice not in field.enum_type.values_by_name
        )
    elif field.type not in TYPES[type_of(value)]:
        yield f"{path}: {type_of(value).__name__} is not its type"


ZERO_FOR_NULL = {"configuration.resources.computeUnits"}
"""The page shows the field without `optional`; it is null for attached clusters."""
F = FieldDescriptor
TYPES: dict[type, set[int]] = {
    serializers.BooleanField: {F.TYPE_BOOL},
    serializers.IntegerField: {F.TYPE_INT32, F.TYPE_INT64},
    serializers.FloatField: {F.TYPE_DOUBLE},
    serializers.DateTimeField: {F.TYPE_MESSAGE, F.TYPE_STRING},
    serializers.ChoiceField: {F.TYPE_STRING},
    serializers.CharField: {F.TYPE_STRING},
    serializers.SerializerMethodField: {F.TYPE_BOOL},
    serializers.Field: {F.TYPE_MESSAGE},
}


def type_of(field: Any) -> type:
    return next(known for known in TYPES if isinstance(field, known))


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_a_request_has_the_fields_of_path_query_and_body(method: Method) -> None:
    message = method.descriptor.input_type
    rest = {field.json_name for field in message.fields} - {camel(v) for v in method.variables}
    taken = method.operation.body if method.has_body else method.operation.query
    repeated_ids = {camel(variable) for variable in method.variables}
    assert rest - {camel(MASK)} == taken().fields.keys() - repeated_ids


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_a_request_has_the_choices_of_the_endpoint(method: Method) -> None:
    taken = method.operation.body if method.has_body else method.operation.query
    by_name = {field.json_name: field for field in method.descriptor.input_type.fields}
    for name, ours in taken().fields.items():
        if isinstance(ours, serializers.ChoiceField) and (field := by_name.get(name)):
            named = {choice for choice in ours.choices if is_word(choice)}
            assert named <= set(field.enum_type.values_by_name), name


def is_word(choice: str) -> bool:
    return bool(choice) and not choice.isdigit() and not choice.endswith("UNSPECIFIED")


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGE)
def test_a_message_of_the_page_has_its_numbers(name: str) -> None:
    message = message_of_the_page(name)
    numbers = {field.name: field.number for field in message.field}
    assert {field: numbers[field] for field in PAGE[name]} == PAGE[name]
    ours = {field: number for field, number in numbers.items() if field not in PAGE[name]}
    assert all(number >= 100 for number in ours.values()), ours


@pytest.mark.parametrize("name", PAGE)
def test_the_gaps_of_the_page_are_reserved(name: str) -> None:
    used = set(PAGE[name].values())
    gaps = set(range(1, max(used))) - used
    ranges = message_of_the_page(name).reserved_range
    assert {number for each in ranges for number in range(each.start, each.end)} == gaps


def test_what_the_page_leaves_open_begins_at_100() -> None:
    messages = [message for message in file("vbase").message_type if message.name not in PAGE]
    low = [f"{m.name}.{f.name}" for m in messages for f in m.field if f.number < 100]
    assert low == []


def message_of_the_page(name: str) -> descriptor_pb2.DescriptorProto:
    return next(message for message in file("vbase").message_type if message.name == name)


def file(name: str) -> descriptor_pb2.FileDescriptorProto:
    found = descriptor_pb2.FileDescriptorSet.FromString((PROTO / "descriptors.binpb").read_bytes())
    return next(each for each in found.file if each.name == f"dodil/vbase/v1/{name}.proto")


# -- files -----------------------------------------------------------------------------------------


def compiled(directory: Path, *options: str) -> descriptor_pb2.FileDescriptorSet:
    """The proto files, compiled from nothing but their directory."""
    target = directory / "compiled.binpb"
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    subprocess.run([*protoc, f"--descriptor_set_out={target}", *options, *FILES], check=True)
    return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def test_the_descriptors_are_compiled_from_the_proto_files(tmp_path: Path) -> None:
    """`make protos` compiles them."""
    committed = (PROTO / "descriptors.binpb").read_bytes()
    assert compiled(tmp_path) == descriptor_pb2.FileDescriptorSet.FromString(committed)


@pytest.mark.parametrize("name", ["annotations.proto", "http.proto"])
def test_the_files_of_google_are_unchanged(name: str) -> None:
    (package,) = google.api.__path__
    assert (PROTO / "google/api" / name).read_text() == (Path(package) / name).read_text()


def test_every_rpc_states_the_scope_that_its_endpoint_requires(tmp_path: Path) -> None:
    comments = comments_of(compiled(tmp_path, "--include_source_info"))
    wrong = [
        method.name
        for method in METHODS
        if not method.operation.is_public
        and method.operation.scope != "any"
        and f"Scope: {method.operation.scope}" not in comments[method.name]
    ]
    assert wrong == []
    assert [m.name for m in METHODS if not comments[m.name].strip()] == []


def comments_of(files: descriptor_pb2.FileDescriptorSet) -> dict[str, str]:
    """The comment of each rpc, in one line."""
    service_method = (6, 2)
    return {
        each.service[location.path[1]].method[location.path[3]].name: " ".join(
            location.leading_comments.split()
        )
        for each in files.file
        for location in each.source_code_info.location
        if len(location.path) == 4 and (location.path[0], location.path[2]) == service_method
    }


def test_no_comment_of_a_proto_file_names_a_part_of_the_code() -> None:
    for name in FILES:
        assert not re.search(r"[a-z]\(\)|serializer|Django", (PROTO / name).read_text())
