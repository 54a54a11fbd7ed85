"""Format of the console's log: one record, one line, and indented lines for its traceback."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TypeAlias

_ExceptionInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class LineFormatter(logging.Formatter):
    """Escape control characters, because names and texts of a tenant's server are logged, and a
    line break in one must not look like the next record.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return printable(super().formatMessage(record))

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"    {printable(line)}" for line in lines)


def printable(text: str) -> str:
    """Escape control characters and bytes that are no UTF-8, which a log cannot hold."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )
