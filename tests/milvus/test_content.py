"""No field of the protocol is lost without a word: each comes back, is named, or is no content.

The table is checked in two ways. Reflection over the protocol tells which fields there are, so
that a new one fails. Then each field is changed in an otherwise fixed answer: what a backup
describes changes with those that are restored, is refused or warned about with those that are
named, and stays the same with those that are no content.
"""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

from backups.milvus.content import ANSWERS, CONTENT, WITHOUT_CONTENT, Treatment
from backups.milvus.errors import UnsupportedFeature
from backups.milvus.schema import describe, unkept
from backups.milvus.server import ServerInfo

Named = tuple[str, str]


def reachable(descriptor: Descriptor, found: dict[str, Descriptor]) -> dict[str, Descriptor]:
    if descriptor.name not in found and descriptor.name not in WITHOUT_CONTENT:
        found[descriptor.name] = descriptor
        for field in descriptor.fields:
            if field.message_type is not None:
                reachable(field.message_type, found)
    return found


MESSAGES: dict[str, Descriptor] = {}
for _name in ANSWERS:
    reachable(getattr(milvus_pb2, _name).DESCRIPTOR, MESSAGES)
LISTED = [(message, field) for message, fields in CONTENT.items() for field in fields]


def test_the_table_lists_every_field_of_the_protocol_and_no_other() -> None:
    there = {(name, field.name) for name, each in MESSAGES.items() for field in each.fields}
    assert sorted(there ^ set(LISTED)) == []


def test_a_message_without_content_is_only_in_fields_that_are_no_content() -> None:
    kinds = {
        CONTENT[name][field.name].treatment
        for name, each in MESSAGES.items()
        for field in each.fields
        if field.message_type is not None and field.message_type.name in WITHOUT_CONTENT
    }
    assert kinds == {Treatment.NO_CONTENT}


def test_every_field_says_why() -> None:
    assert all(field.why for fields in CONTENT.values() for field in fields.values())


# what a backup makes of each


class Answers:
    """A server with one collection, which answers what a test has prepared."""

    def __init__(self) -> None:
        self.collection = milvus_pb2.DescribeCollectionResponse(
            schema=schema_pb2.CollectionSchema(
                name="things",
                fields=[
                    schema_pb2.FieldSchema(name="id", is_primary_key=True, data_type=5),
                    schema_pb2.FieldSchema(name="n", data_type=22, element_type=5),
                    # with a partition key, the number of partitions is one of its own
                    schema_pb2.FieldSchema(name="key", data_type=5, is_partition_key=True),
                ],
                functions=[schema_pb2.FunctionSchema(name="f", type=1)],
            ),
            properties=[common_pb2.KeyValuePair(key="p", value="v")],
        )
        self.index = milvus_pb2.DescribeIndexResponse(
            index_descriptions=[
                milvus_pb2.IndexDescription(field_name="n", index_name="n", state=3)
            ]
        )
        self.alias = milvus_pb2.DescribeAliasResponse(alias="a", collection="things")
        self.shown = milvus_pb2.ShowPartitionsResponse(partition_names=["_default"])
        self.loaded = milvus_pb2.GetLoadStateResponse(state=1)
        self.database = milvus_pb2.DescribeDatabaseResponse(db_name="default")

    # as `Client`

    def server(self) -> ServerInfo:
        return ServerInfo(version="v2.6.4")

    def describe(self, _name: str) -> Any:
        return self.collection

    def partitions(self, _name: str) -> Any:
        return self.shown

    def indexes(self, _name: str) -> list[Any]:
        return list(self.index.index_descriptions)

    def aliases(self, name: str) -> list[str]:
        return [self.alias.alias] if self.alias.collection == name else []

    def load_state(self, _name: str, _partitions: object = ()) -> int:
        return int(self.loaded.state)

    def call(self, method: str, _request: object) -> Any:
        assert method == "GetReplicas"
        return milvus_pb2.GetReplicasResponse()

    def database_properties(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.database.properties}

    # what a backup holds, and what it says

    def captured(self) -> Any:
        description = describe(self, "things")  # type: ignore[arg-type]
        return description, self.database.db_name, self.database_properties()

    def said(self) -> list[str]:
        try:
            return list(unkept(self, self.captured()[0]))  # type: ignore[arg-type]
        except UnsupportedFeature as refusal:
            return [str(refusal)]


def second(answers: Answers) -> Any:
    return answers.collection.schema.fields[1]


PLACES = {
    "DescribeDatabaseResponse": lambda a: a.database,
    "DescribeCollectionResponse": lambda a: a.collection,
    "CollectionSchema": lambda a: a.collection.schema,
    "FieldSchema": second,
    "ValueField": lambda a: second(a).default_value,
    "FunctionSchema": lambda a: a.collection.schema.functions[0],
    "StructArrayFieldSchema": lambda a: a.collection.schema.struct_array_fields.add(),
    "DescribeIndexResponse": lambda a: a.index,
    "IndexDescription": lambda a: a.index.index_descriptions[0],
    "DescribeAliasResponse": lambda a: a.alias,
    "ShowPartitionsResponse": lambda a: a.shown,
    "GetLoadStateResponse": lambda a: a.loaded,
    "KeyValuePair": lambda a: a.collection.properties[0],
}
VARCHAR, DATE, TIME = 21, 28, 29
SPECIAL: dict[Named, Any] = {
    # these two are told by the type of their field, which no backup knows
    ("ValueField", "date_data"): lambda a: setattr(second(a), "data_type", DATE),
    ("ValueField", "time_data"): lambda a: setattr(second(a), "data_type", TIME),
    ("FieldSchema", "data_type"): lambda a: setattr(second(a), "data_type", VARCHAR),
    ("FieldSchema", "element_type"): lambda a: setattr(second(a), "element_type", VARCHAR),
}


def change(answers: Answers, message: str, name: str) -> None:
    special = SPECIAL.get((message, name))
    if special is not None:
        special(answers)
        return
    target = PLACES[message](answers)
    field = target.DESCRIPTOR.fields_by_name[name]
    value = another(field, None if field.is_repeated else getattr(target, name))
    if field.is_repeated:
        getattr(target, name).append(value)
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(value)
    else:
        setattr(target, name, value)


def another(field: FieldDescriptor, found: Any) -> Any:
    """A value of the field's type that it has not."""
    kinds = FieldDescriptor
    if field.message_type is not None:
        return made(field.message_type.name)
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        return next(number for number in reversed(numbers) if number != found)
    if field.cpp_type == kinds.CPPTYPE_BOOL:
        return not found
    if field.cpp_type == kinds.CPPTYPE_STRING:
        return b"other" if field.type == kinds.TYPE_BYTES else "other"
    return 7


def made(message: str) -> Any:
    values = {
        "CollectionSchema": lambda: schema_pb2.CollectionSchema(
            name="other",
            fields=[schema_pb2.FieldSchema(name="id", is_primary_key=True, data_type=5)],
        ),
        "FieldSchema": lambda: schema_pb2.FieldSchema(name="more", data_type=5),
        "ValueField": lambda: schema_pb2.ValueField(long_data=7),
        "FunctionSchema": lambda: schema_pb2.FunctionSchema(name="more", type=1),
        "StructArrayFieldSchema": lambda: schema_pb2.StructArrayFieldSchema(name="more"),
        "IndexDescription": lambda: milvus_pb2.IndexDescription(field_name="id", index_name="id"),
        "KeyValuePair": lambda: common_pb2.KeyValuePair(key="more", value="1"),
        "KeyDataPair": lambda: common_pb2.KeyDataPair(key="more", data=b"1"),
        "Status": lambda: common_pb2.Status(reason="more"),
    }
    return values[message]()


def listed_as(treatment: Treatment) -> list[Named]:
    return [
        (message, name) for message, name in LISTED if CONTENT[message][name].treatment is treatment
    ]


@pytest.mark.parametrize(("message", "name"), listed_as(Treatment.RESTORED))
def test_what_is_restored_is_in_the_backup(message: str, name: str) -> None:
    before, answers = Answers().captured(), Answers()
    change(answers, message, name)
    assert answers.captured() != before


@pytest.mark.parametrize(("message", "name"), listed_as(Treatment.NAMED))
def test_what_is_named_is_refused_or_warned_about(message: str, name: str) -> None:
    answers = Answers()
    assert answers.said() == []
    change(answers, message, name)
    assert answers.said() != []


@pytest.mark.parametrize(("message", "name"), listed_as(Treatment.NO_CONTENT))
def test_what_is_no_content_changes_nothing(message: str, name: str) -> None:
    before, answers = Answers().captured(), Answers()
    change(answers, message, name)
    assert answers.captured() == before
