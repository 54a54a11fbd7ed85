"""Events of tasks of the sample data: the phases of recent backups, and the end of every task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vbase_console.management.demo.moments import Moment
from vbase_console.management.demo.table import Row
from vbase_console.tasks.states import TaskState

PHASES_OF_BACKUP = (
    ("pinning", 0.0, "Pinning all collections at one instant."),
    ("copying", 0.06, "Copying rows."),
    ("sealing", 0.92, "Writing the manifest."),
)
"""Phase of a backup, its begin as a part of the duration, and its message."""


def events_of(moment: Moment, task: Row, pks: Mapping[str, int]) -> list[Row]:
    pk = pks[str(task["task_id"])]
    has_phases = moment.is_backup and moment.is_recent
    return [*(_phases_of(task, pk) if has_phases else []), _end_of(task, pk)]


def _phases_of(task: Row, pk: int) -> list[Row]:
    began: datetime = task["started_at"]  # type: ignore[assignment]
    length: timedelta = task["finished_at"] - began  # type: ignore[operator]
    return [
        {
            "task_id": pk,
            "at": began + part * length,
            "state": TaskState.RUNNING,
            "progress": round(100 * part),
            "phase": phase,
            "message": message,
        }
        for phase, part, message in PHASES_OF_BACKUP
    ]


def _end_of(task: Row, pk: int) -> Row:
    return {
        "task_id": pk,
        "at": task["finished_at"],
        "state": task.get("state", TaskState.SUCCEEDED),
        "message": task.get("message", "Done."),
    }
