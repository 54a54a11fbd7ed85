"""Validation of the answers of a cluster's process before the console stores them.

The process is not trusted, and its answers reach rows and pages. An answer that no row can store
would end the observation of all other clusters.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from clusters.drivers.base import DriverError
from clusters.drivers.sandbox.process import Level

Health = dict[str, Any]

MAX_CHARACTERS = 4_000
MAX_COUNT = 2**63 - 1
"""Largest number that every database can store."""
_HEALTH = {
    "ready": bool,
    "message": str,
    "opened": int,
    "collections": int,
    "version": str,
    "cpu_seconds": int,
    "cores": int,
    "failures": dict,
}


class Unreachable(DriverError):
    """The server gave no valid answer."""


def as_text(value: object, max_characters: int = MAX_CHARACTERS) -> str:
    """Convert to a text of bounded length that every database can store."""
    text = str(value)
    cut = text if len(text) <= max_characters else f"{text[:max_characters]}…"
    return cut.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def checked_health(answer: Any) -> Health:
    """Validate the answer of a health call. Raises Unreachable if it is invalid."""
    is_valid = (
        isinstance(answer, dict)
        and all(isinstance(answer.get(name), kind) for name, kind in _HEALTH.items())
        and 0 < answer["cores"] <= (os.cpu_count() or 1)
    )
    if not is_valid:
        raise Unreachable(
            "The console does not understand the cluster's answer to a health call. Restart the "
            "cluster. If this persists, its process is faulty."
        )
    failures = {as_text(name): as_text(why) for name, why in answer["failures"].items()}
    return {
        **answer,
        "message": as_text(answer["message"]),
        "version": as_text(answer["version"]),
        "failures": failures,
        "confinement": _level(answer.get("confinement")),
    }


def checked_counts(answer: Any, names: Collection[str]) -> dict[str, int]:
    """Return the valid counts of an answer. Others are left out."""
    given = answer if isinstance(answer, dict) else {}
    return {
        name: given[name]
        for name in names
        if type(given.get(name)) is int and 0 <= given[name] <= MAX_COUNT
    }


def _level(confinement: Any) -> Level:
    """Return NONE for processes of earlier releases, which report no confinement."""
    level = confinement.get("level") if isinstance(confinement, dict) else None
    return Level(level) if level in list(Level) else Level.NONE
