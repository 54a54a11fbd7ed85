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


def take() -> dict[str, list[object]] | None:
    """Return the differences noted so far, and begin anew for the next row. None: no difference."""
    noted = _noted.get()
    if not noted:
        return None
    taken = dict(noted)
    noted.clear()
    return taken


def _bounded(value: object) -> object:
    text = json.dumps(value, default=str, ensure_ascii=False).replace("\\u0000", "")
    return json.loads(text) if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"
