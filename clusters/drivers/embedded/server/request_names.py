"""Check of all names in a request before the request reaches the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from google.protobuf.message import DecodeError, Message

from clusters.drivers.embedded.server.name_fields import (
    GIVEN,
    GIVEN_UNLESS_EMPTY,
    NAMES,
    PROPERTIES,
    SERIALIZED,
)
from clusters.milvus_names import Kind, refusal_of_new, refusal_of_use

PROPERTY = "KeyValuePair"


@dataclasses.dataclass(frozen=True)
class NameField:
    """Field of a message: a name, a list of names, or a message that contains names."""

    field: str
    key: str
    kind: Kind | None
    """None for a message."""
    is_list: bool = False
    is_map: bool = False


def refusal_of(request: Message) -> str:
    """Return why this request must not reach the engine, or an empty text."""
    try:
        return next(filter(None, refusals(request)), "")
    except DecodeError:
        return (
            "The schema in this request is not a valid protobuf message. Send the request with a "
            "Milvus SDK."
        )


def refusals(message: Message) -> Iterator[str]:
    """Yield one text for each name, empty for a valid name."""
    if message.DESCRIPTOR.name == PROPERTY:
        pair: Any = message
        kind = PROPERTIES.get(pair.key)
        yield refusal_of_use(kind, pair.value) if kind else ""
    for field in name_fields(message.DESCRIPTOR):
        for value in _values(message, field):
            if field.kind is None:
                yield from refusals(value)
            else:
                yield _refusal_of_name(field, field.kind, value)


def _refusal_of_name(field: NameField, kind: Kind, name: str) -> str:
    is_given = field.key in GIVEN or (field.key in GIVEN_UNLESS_EMPTY and name)
    return (refusal_of_new if is_given else refusal_of_use)(kind, name)


def _values(message: Any, field: NameField) -> Iterable[Any]:
    value = getattr(message, field.field)
    if field.key in SERIALIZED:
        return [SERIALIZED[field.key].FromString(value)]
    if field.is_map:
        return list(value.values())
    if field.is_list:
        return list(value)
    return [value] if field.kind is not None or message.HasField(field.field) else []


@cache
def name_fields(descriptor: Any) -> tuple[NameField, ...]:
    """Return the fields that can contain names. Cached for each message type."""
    return tuple(_name_fields(descriptor))


def _name_fields(descriptor: Any) -> Iterator[NameField]:
    for field in descriptor.fields:
        key = key_of(field)
        kind = kind_of(field)
        if kind is not None or key in SERIALIZED:
            yield NameField(field.name, key, kind, is_list=field.is_repeated)
        elif field.message_type is not None and contains_names(field.message_type):
            is_map = field.message_type.GetOptions().map_entry
            yield NameField(field.name, key, None, is_list=field.is_repeated, is_map=is_map)


def contains_names(descriptor: Any, above: frozenset[str] = frozenset()) -> bool:
    """Search the message and the messages below it; message types may be recursive."""
    if descriptor.full_name in above:
        return False
    below = above | {descriptor.full_name}
    return descriptor.name == PROPERTY or any(
        kind_of(field) is not None
        or key_of(field) in SERIALIZED
        or (field.message_type is not None and contains_names(field.message_type, below))
        for field in descriptor.fields
    )


def kind_of(field: Any) -> Kind | None:
    """Return None for a field that is not a name."""
    is_text = field.type == field.TYPE_STRING
    return NAMES.get(key_of(field), NAMES.get(field.name)) if is_text else None


def key_of(field: Any) -> str:
    """Return `Message.field`, without the package of the message."""
    message = field.containing_type
    return f"{message.full_name.removeprefix(message.file.package + '.')}.{field.name}"
