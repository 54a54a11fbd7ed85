"""Confinement of the archive command, because archives are untrusted input.

Only this module imports the console. The format and its readers do not depend on it.
"""

from __future__ import annotations

from pathlib import Path

import backups

_CODE = Path(backups.__path__[0]).resolve()


def confine(archive: Path | None, target: Path | None, *, data_bytes: int | None = None) -> str:
    """Confine this process permanently to reading `archive` and writing `target`, if given.
    `data_bytes` limits its memory; default: half of the machine's.

    Returns the reason if the confinement is incomplete, else an empty text. A copy of this package
    without the console has no sandbox.
    """
    try:
        from clusters.drivers.sandbox.limits import UNTOUCHED_BYTES, machine_bytes
        from clusters.drivers.sandbox.process import (
            Level,
            Sandbox,
            confine,
            interpreter_paths,
        )
    except ImportError:
        return "this command is not confined, because the console's sandbox is not installed."
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
    done = confine(
        Sandbox(
            read=[*interpreter_paths(), _CODE, *([archive] if archive is not None else [])],
            write=[target] if target is not None else [],
            data_bytes=(data_bytes or machine_bytes() // 2) + UNTOUCHED_BYTES,
        )
    )
    return "" if done.level is Level.FULL else f"confinement {done.level}. {done.message}"
