"""Every name of a request, checked before the engine sees one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from google.protobuf.message import DecodeError, Message

from clusters.drivers.embedded.server.name_fields import (
    GIVEN,
    GIVEN_IF_SAID,
    NAMES,
    PROPERTIES,
    SERIALIZED,
)
from clusters.milvus_names import Kind, refusal_of_new, refusal_of_use

PROPERTY = "KeyValuePair"


@dataclasses.dataclass(frozen=True)
class NameField:
    """One field of a message that is a name, a list of names, or a message with names in it."""

    field: str
    key: str
    kind: Kind | None
    """None: it is a message."""
    is_list: bool = False
    is_map: bool = False


def refusal_of(request: Message) -> str:
    """The reason why this request must not reach the engine; empty where it may."""
    try:
        return next(filter(None, refusals(request)), "")
    except DecodeError:
        return "The schema in this request is no valid message. Send it as Milvus' clients do."


def refusals(message: Message) -> Iterator[str]:
    """One text for each name, empty where it is legal."""
    if message.DESCRIPTOR.name == PROPERTY:
        yield _of_property(message)
    for each in name_fields(message.DESCRIPTOR):
        for value in _values(message, each):
            yield from refusals(value) if each.kind is None else [_of_name(each, each.kind, value)]


def _of_property(pair: Any) -> str:
    kind = PROPERTIES.get(pair.key)
    return refusal_of_use(kind, pair.value) if kind else ""


def _of_name(field: NameField, kind: Kind, name: str) -> str:
    is_given = field.key in GIVEN or (field.key in GIVEN_IF_SAID and name)
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
    """The fields of a message in which names can be, found once for each kind of message."""
    return tuple(_name_fields(descriptor))


def _name_fields(descriptor: Any) -> Iterator[NameField]:
    for field in descriptor.fields:
        key = key_of(field)
        kind = kind_of(field)
        if kind is not None or key in SERIALIZED:
            yield NameField(field.name, key, kind, is_list=field.is_repeated)
        elif field.message_type is not None and holds_names(field.message_type):
            is_map = field.message_type.GetOptions().map_entry
            yield NameField(field.name, key, None, is_list=field.is_repeated, is_map=is_map)


def holds_names(descriptor: Any, above: frozenset[str] = frozenset()) -> bool:
    """In itself or in a message below; messages may hold themselves."""
    if descriptor.full_name in above:
        return False
    below = above | {descriptor.full_name}
    return descriptor.name == PROPERTY or any(
        kind_of(field) is not None
        or key_of(field) in SERIALIZED
        or (field.message_type is not None and holds_names(field.message_type, below))
        for field in descriptor.fields
    )


def kind_of(field: Any) -> Kind | None:
    """None: it is no name."""
    is_text = field.type == field.TYPE_STRING
    return NAMES.get(key_of(field), NAMES.get(field.name)) if is_text else None


def key_of(field: Any) -> str:
    """`Message.field`, the message without its package."""
    message = field.containing_type
    return f"{message.full_name.removeprefix(message.file.package + '.')}.{field.name}"
