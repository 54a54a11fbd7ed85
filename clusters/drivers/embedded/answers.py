"""What a cluster's process says, checked before the console keeps it.

The process is confined because it may be at fault, and its answers reach rows and pages. One that
no row can hold would end the look at all other clusters as well.
"""

from __future__ import annotations

import os
from typing import Any

from clusters.drivers.base import DriverError
from clusters.drivers.sandbox.process import Level

Health = dict[str, Any]

MAX_CHARACTERS = 4_000
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
    """The server did not answer, or not us, or not as a cluster does."""


def as_text(said: object) -> str:
    """A text of bounded length that every database can hold."""
    text = str(said)
    cut = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
    return cut.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def checked_health(answer: Any) -> Health:
    """Raises Unreachable for an answer that no cluster gives."""
    if not _is_health(answer):
        raise Unreachable(
            "It answers its health call in a way that the console does not understand. Restart it; "
            "if this stays, its process is at fault."
        )
    failures = {as_text(name): as_text(why) for name, why in answer["failures"].items()}
    return {
        **answer,
        "message": as_text(answer["message"]),
        "version": as_text(answer["version"]),
        "failures": failures,
        "confinement": _level(answer.get("confinement")),
    }


def _is_health(answer: Any) -> bool:
    return (
        isinstance(answer, dict)
        and all(isinstance(answer.get(name), kind) for name, kind in _HEALTH.items())
        and 0 < answer["cores"] <= (os.cpu_count() or 1)
    )


def _level(said: Any) -> Level:
    """A process of an earlier release knows no confinement, and has none."""
    level = said.get("level") if isinstance(said, dict) else None
    return Level(level) if level in list(Level) else Level.NONE
