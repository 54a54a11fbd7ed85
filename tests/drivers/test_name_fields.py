"""Every text of Milvus' protocol is a name that is checked, or listed as none with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import milvus_pb2

from clusters.drivers.embedded.server.name_fields import (
    GIVEN,
    GIVEN_UNLESS_EMPTY,
    NAMES,
    NOT_NAMES,
    NOT_OFFERED,
    SERIALIZED,
)
from clusters.drivers.embedded.server.refusals import reason_for_refusing
from clusters.drivers.embedded.server.request_names import key_of, kind_of, refusals
from clusters.drivers.embedded.server.servicer import Servicer

METHODS = list(milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"].methods)
LISTED = {key: reason for reason, keys in NOT_NAMES.items() for key in keys}


def fields_below(descriptor: Any, seen: set[str]) -> Iterator[Any]:
    """All fields of a message and of the messages in it, those in bytes, too."""
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        yield field
        if field.message_type is not None:
            yield from fields_below(field.message_type, seen)
        if key_of(field) in SERIALIZED:
            yield from fields_below(SERIALIZED[key_of(field)].DESCRIPTOR, seen)


def texts_of(method: Any) -> set[str]:
    found = fields_below(method.input_type, set())
    return {key_of(field) for field in found if field.type in (field.TYPE_STRING, field.TYPE_BYTES)}


FIELDS = {
    key_of(field): field for method in METHODS for field in fields_below(method.input_type, set())
}
TEXTS = {key for method in METHODS for key in texts_of(method)}


def is_offered(method: Any) -> bool:
    return reason_for_refusing(method.name, Servicer) is None


def test_every_text_is_a_name_or_listed_as_none() -> None:
    unknown = [
        key
        for key in sorted(TEXTS)
        if kind_of(FIELDS[key]) is None and key not in SERIALIZED and key not in LISTED
    ]
    assert not unknown, "say in name_fields.py whether these are names"


def test_no_text_is_listed_twice() -> None:
    names = {key for key in TEXTS if kind_of(FIELDS[key]) is not None}
    assert not names & LISTED.keys()
    assert len(LISTED) == sum(map(len, NOT_NAMES.values()))


def test_the_tables_name_nothing_that_the_protocol_lacks() -> None:
    fields = {field.name for field in FIELDS.values()}
    assert LISTED.keys() <= TEXTS
    assert set(GIVEN | GIVEN_UNLESS_EMPTY | SERIALIZED.keys()) <= TEXTS
    assert {key for key in NAMES if "." in key} <= TEXTS
    assert {key for key in NAMES if "." not in key} <= fields


def test_two_messages_of_one_name_would_be_told_apart() -> None:
    found: dict[str, str] = {}
    for method in METHODS:
        for field in fields_below(method.input_type, set()):
            full_name = found.setdefault(key_of(field), field.full_name)
            assert full_name == field.full_name


def test_what_is_listed_for_methods_that_are_not_offered_is_in_no_other() -> None:
    offered = {key for method in METHODS if is_offered(method) for key in texts_of(method)}
    assert not offered & set(NOT_NAMES[NOT_OFFERED])


def with_name(descriptor: Any, path: list[Any], name: str) -> Any:
    """A message that holds this name at the end of a path of fields, and nothing else."""
    field, *below = path
    key, message = key_of(field), GetMessageClass(descriptor)()
    if key in SERIALIZED and below:
        inner = with_name(SERIALIZED[key].DESCRIPTOR, below, name).SerializeToString()
        setattr(message, field.name, inner)
    elif not below:
        value = [name] if field.is_repeated else name
        message.MergeFrom(GetMessageClass(descriptor)(**{field.name: value}))
    elif field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name["value"].message_type
        getattr(message, field.name)["k"].MergeFrom(with_name(entry, below[1:], name))
    else:
        inner = with_name(field.message_type, below, name)
        target = getattr(message, field.name)
        target.append(inner) if field.is_repeated else target.CopyFrom(inner)
    return message


def paths_to_names(descriptor: Any, above: tuple[str, ...] = ()) -> Iterator[list[Any]]:
    """One path to every place of a name; a message inside itself counts once."""
    if descriptor.full_name in above:
        return
    for field in descriptor.fields:
        if kind_of(field) is not None:
            yield [field]
        inner = field.message_type
        if key_of(field) in SERIALIZED:
            inner = SERIALIZED[key_of(field)].DESCRIPTOR
        if inner is not None:
            for path in paths_to_names(inner, (*above, descriptor.full_name)):
                yield [field, *path]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_a_path_is_refused_wherever_a_request_holds_a_name(method: Any) -> None:
    for path in paths_to_names(method.input_type):
        request = with_name(method.input_type, path, "../x")
        where = " / ".join(key_of(field) for field in path)
        assert any("'../x' cannot be the name of" in text for text in refusals(request)), where
