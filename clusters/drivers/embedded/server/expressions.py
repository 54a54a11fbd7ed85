"""Filter expressions of SDKs, made into what the engine's parser reads as they were meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TEXT = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
_PLACEHOLDER = re.compile(rf"({_TEXT})|\{{\s*(\w+)\s*\}}", re.DOTALL)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
_BEHIND_CURSOR = '" and ('


class NoSuchValue(ValueError):
    """A placeholder without a value."""


def quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def with_values(expression: str, values: Mapping[str, Any]) -> str:
    """Put the template values of a request in the place of `{name}`, outside of texts.

    Raises NoSuchValue if a placeholder has none.
    """

    def literal(found: re.Match[str]) -> str:
        text, name = found.groups()
        if text is not None:
            return str(text)
        if name not in values:
            raise NoSuchValue(
                f"The filter has {{{name}}} and filter_params has no such value. Add it, or write "
                "the value into the filter."
            )
        return _literal(values[name])

    return _PLACEHOLDER.sub(literal, expression)


def _literal(value: Any) -> str:
    kind = value.WhichOneof("val")
    if kind != "array_val":
        return _scalar(getattr(value, kind))
    array = value.array_val
    items = getattr(array, array.WhichOneof("data")).data
    return f"[{', '.join(_scalar(item) for item in items)}]"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else repr(value)


def with_quoted_cursor(expression: str, key: str, is_key: Callable[[str], bool]) -> str:
    """Escape the cursor of a query iterator, which the SDK writes as it is.

    The SDK sends `key > "<last key>"`, or that and ` and (<filter>)`. A key may hold quotes, so the
    cursor is the reading that is a key of the collection.
    """
    start = f'{key} > "'
    if not expression.startswith(start):
        return expression
    readings = list(_readings(expression.removeprefix(start)))
    for cursor, rest in readings:
        if is_key(cursor):
            return f"{key} > {quoted(cursor)}{rest}"
    return expression


def _readings(text: str) -> Iterator[tuple[str, str]]:
    if text.endswith('"'):
        yield text[:-1], ""
    if text.endswith(")"):
        for found in re.finditer(re.escape(_BEHIND_CURSOR), text):
            yield text[: found.start()], text[found.start() + 1 :]
