"""Exact conversion of frozen dataclasses to JSON values and back.

Every member is written and required. A missing, unknown or duplicated member, or one of another
type, is refused with its path. JSON contains no floats, because writers may format one number
differently, and no integers beyond a signed 64-bit number.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, NoReturn, Self

_MAX_NUMBER_LENGTH = len(str(-(2**63)))


class FormatError(ValueError):
    """Data violates the archive format. The message names the place."""


class JsonModel:
    """Frozen dataclass whose JSON form is an object with exactly its fields as members."""

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in _types_of(type(self))}

    @classmethod
    def from_json(cls, value: object, path: str = "$") -> Self:
        members = _expect(dict, value, path)
        expected = _types_of(cls)
        if members.keys() != expected.keys():
            raise FormatError(f"{path}: {_difference(set(expected), set(members))}")
        values = {
            name: decode(expected[name], members[name], f"{path}.{name}") for name in expected
        }
        return cls(**values)


def canonical_json(value: object) -> bytes:
    """Serialize with members sorted by code point, no spaces, in UTF-8, only needed escapes."""
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        raise FormatError(f"it cannot be written as JSON in UTF-8: {error}") from error


def strict_json(data: bytes) -> object:
    """Parse UTF-8 JSON. Refuses floats, integers beyond 64 bits, duplicated members, and halves of
    surrogate pairs.
    """
    try:
        parsed: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_single_members,
            parse_int=_bounded,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"it is not JSON in UTF-8: {error}") from error
    if b"\\u" in data:
        canonical_json(parsed)  # only an escape can contain half a pair, and escapes are rare
    return parsed


def _bounded(text: str) -> int:
    """Check the length first, because Python converts very long numbers slowly or not at all."""
    if len(text) > _MAX_NUMBER_LENGTH or not -(2**63) <= int(text) < 2**63:
        raise FormatError(f"a number that begins {text[:_MAX_NUMBER_LENGTH]} is beyond 64 bits")
    return int(text)


def _single_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError(f"an object has a member twice, among {sorted(members)}")
    return members


def _no_float(text: str) -> NoReturn:
    raise FormatError(f"the number {text} is not an integer")


def _plain(value: Any) -> Any:
    match value:
        case JsonModel():
            return value.to_json()
        case tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return dict(value)
        case enum.Enum():
            return value.value
        case _:
            return value


def _types_of(model: type) -> dict[str, Any]:
    """Return cached type hints, because a manifest has thousands of parts."""
    if model not in _TYPES:
        _TYPES[model] = typing.get_type_hints(model)
    return _TYPES[model]


_TYPES: dict[type, dict[str, Any]] = {}


def _difference(expected: set[str], actual: set[str]) -> str:
    missing, unknown = sorted(expected - actual), sorted(actual - expected)
    parts = [f"members {missing} are missing"] if missing else []
    return "; ".join([*parts, *([f"members {unknown} are unknown"] if unknown else [])])


def _expect(expected: type, value: object, path: str) -> Any:
    """Require the exact type, because `True` is an `int` in Python, but not in JSON."""
    if type(value) is not expected:
        raise FormatError(f"{path}: expected {expected.__name__}, found {type(value).__name__}")
    return value


def decode(expected: Any, value: object, path: str) -> Any:
    origin = typing.get_origin(expected)
    if origin is types.UnionType:
        (inner,) = (kind for kind in typing.get_args(expected) if kind is not types.NoneType)
        return None if value is None else decode(inner, value, path)
    if origin is tuple:
        inner, items = typing.get_args(expected)[0], _expect(list, value, path)
        return tuple(decode(inner, item, f"{path}[{at}]") for at, item in enumerate(items))
    if origin is Mapping:
        inner, members = typing.get_args(expected)[1], _expect(dict, value, path)
        return {name: decode(inner, item, f"{path}.{name}") for name, item in members.items()}
    if isinstance(expected, type) and issubclass(expected, JsonModel):
        return expected.from_json(value, path)
    if isinstance(expected, type) and issubclass(expected, enum.StrEnum):
        text = _expect(str, value, path)
        if text not in list(expected):
            raise FormatError(f"{path}: {text!r} is none of {', '.join(expected)}")
        return expected(text)
    return _expect(expected, value, path)
