"""Expressions over primary keys that are right for every legal key."""

from __future__ import annotations

from backups.archive.description import DataType, FieldDescription

Key = int | str

_LEAST = -(2**63)
_MAX_INT64 = 2**63 - 1
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
"""What a literal may not hold as it is. Everything else stands for itself, NUL included: servers
differ in the other escapes they know.
"""


def every(key: FieldDescription) -> str:
    """True for all keys; an empty expression would make some servers forget the order."""
    return f"{key.name} <= {_MAX_INT64}" if key.data_type is DataType.INT64 else f'{key.name} >= ""'


def after(key: FieldDescription, last: Key) -> str:
    """True for the keys behind this one, in the order in which servers sort them."""
    if isinstance(last, str):
        return f"{key.name} > {literal(last)}"
    # The least number is no literal everywhere: its digits alone are too large for the type.
    return f"{key.name} >= {last + 1}" if last == _LEAST else f"{key.name} > {last}"


def is_last(last: Key) -> bool:
    return last == _MAX_INT64


def literal(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
