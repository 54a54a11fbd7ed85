"""What a console that was killed left behind: found by its record, ended by the next start."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psutil

from vbase_console.supervision import processes


def record(file: Path, sessions: list[int]) -> None:
    """Write down which sessions are ours, whole or not at all."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(sessions))
    new.replace(file)


def end_recorded(file: Path, data_dir: Path) -> int:
    """End what lives of the recorded sessions; answers how many processes that were."""
    found = [
        process
        for session in _recorded(file)
        for process in processes.session_members(session)
        if _belongs_to(process, data_dir)
    ]
    processes.kill_all(found)
    return len(found)


def _recorded(file: Path) -> list[int]:
    try:
        return [int(session) for session in json.loads(file.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _belongs_to(process: psutil.Process, data_dir: Path) -> bool:
    """A number comes again after a while; our data directory in its environment tells."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("VBASE_DATA_DIR") == str(data_dir)
    return False
