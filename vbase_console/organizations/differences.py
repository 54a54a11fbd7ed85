"""Differences that a call makes, old → new, for its audit row.

Services note them without knowing an interface. Outside of `noting` they are ignored: sweeps and
commands write no such rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

MAX_VALUE_LENGTH = 300
CONNECTION = "connection"
CONNECTION_FIELDS = frozenset({"endpoint", "port", "tls"})
"""Connection data, which a viewer may not read."""

_noted: ContextVar[dict[str, list[object]] | None] = ContextVar("differences", default=None)


@contextmanager
def noting() -> Iterator[None]:
    """Collect the differences of one request."""
    token = _noted.set({})
    try:
        yield
    finally:
        _noted.reset(token)


def note(old: Mapping[str, object], new: Mapping[str, object]) -> None:
    """Note the fields of `new` that differ from `old`. Never pass a secret."""
    noted = _noted.get()
    if noted is not None:
        noted |= {
            name: [_bounded(old.get(name)), _bounded(value)]
            for name, value in new.items()
            if value != old.get(name)
        }


def note_connection_change() -> None:
    """Note that the connection of a cluster was changed, without its address."""
    note({}, {CONNECTION: "changed"})


def take() -> dict[str, list[object]] | None:
    """Return the differences noted so far, and begin anew for the next row. None: no difference."""
    noted = _noted.get()
    if not noted:
        return None
    taken = dict(noted)
    noted.clear()
    return taken


def shown(changes: Mapping[str, list[object]] | None) -> Mapping[str, list[object]]:
    """Return the differences of a row that every member may read. Rows that were written before
    `CONNECTION` existed contain the address of an attached cluster; rows are append-only.
    """
    changes = changes or {}
    fields = {name: pair for name, pair in changes.items() if name not in CONNECTION_FIELDS}
    return fields if len(fields) == len(changes) else fields | {CONNECTION: [None, "changed"]}


def _bounded(value: object) -> object:
    text = json.dumps(_without_nul(value), default=str, ensure_ascii=False)
    return json.loads(text) if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _without_nul(value: object) -> object:
    """Remove NUL characters, which PostgreSQL cannot store."""
    match value:
        case str():
            return value.replace("\x00", "")
        case Mapping():
            return {_without_nul(name): _without_nul(item) for name, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_nul(item) for item in value]
        case _:
            return value
