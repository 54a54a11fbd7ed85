"""Filter expressions over primary keys, correct for every legal key."""

from __future__ import annotations

from backups.archive.description import DataType, FieldDescription

Key = int | str

_LEAST = -(2**63)
_MAX_INT64 = 2**63 - 1
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
"""Characters that a literal must escape. All others, including NUL, are literal, because servers
differ in their other escapes.
"""


def every(key: FieldDescription) -> str:
    """Match all keys. Some servers lose the order of the keys with an empty expression."""
    return f"{key.name} <= {_MAX_INT64}" if key.data_type is DataType.INT64 else f'{key.name} >= ""'


def after(key: FieldDescription, last: Key) -> str:
    if isinstance(last, str):
        return f"{key.name} > {literal(last)}"
    # Some servers refuse the smallest number as a literal, because its digits exceed the type.
    return f"{key.name} >= {last + 1}" if last == _LEAST else f"{key.name} > {last}"


def up_to(key: FieldDescription, last: Key) -> str:
    """Match the keys up to and including `last`."""
    if isinstance(last, str):
        return f"{key.name} <= {literal(last)}"
    return f"{key.name} < {last + 1}" if last == _LEAST else f"{key.name} <= {last}"


def is_last(last: Key) -> bool:
    return last == _MAX_INT64


def literal(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
