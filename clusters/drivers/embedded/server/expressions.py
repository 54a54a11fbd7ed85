"""Conversion of SDKs' filter expressions to the syntax of the engine's parser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TEXT = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
_PLACEHOLDER = re.compile(rf"({_TEXT})|\{{\s*(\w+)\s*\}}", re.DOTALL)
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})
_BEHIND_CURSOR = '" and ('


class NoSuchValue(ValueError):
    """A placeholder of a filter has no value."""


def quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def with_values(expression: str, values: Mapping[str, Any]) -> str:
    """Replace `{name}` outside of string literals by the template values of a request.

    Raises NoSuchValue if a placeholder has no value.
    """

    def literal(match: re.Match[str]) -> str:
        text, name = match.groups()
        if text is not None:
            return str(text)
        if name not in values:
            raise NoSuchValue(
                f"The filter contains {{{name}}}, and filter_params has no such value. Add the "
                "value, or write it into the filter."
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
    """Escape the cursor of a query iterator, which SDKs do not escape.

    SDKs send `key > "<last key>"`, or `key > "<last key>" and (<filter>)`. A key can contain
    quotes, so the cursor is the candidate that is a key of the collection.
    """
    start = f'{key} > "'
    if not expression.startswith(start):
        return expression
    for cursor, rest in _cursor_candidates(expression.removeprefix(start)):
        if is_key(cursor):
            return f"{key} > {quoted(cursor)}{rest}"
    return expression


def _cursor_candidates(text: str) -> Iterator[tuple[str, str]]:
    if text.endswith('"'):
        yield text[:-1], ""
    if text.endswith(")"):
        for match in re.finditer(re.escape(_BEHIND_CURSOR), text):
            yield text[: match.start()], text[match.start() + 1 :]
