"""Outcome of a run as a look and as a sentence, for pages and pictures."""

from __future__ import annotations

from datetime import UTC

from backups.policies.models import PolicyRun
from backups.policies.states import SKIPPED
from vbase_console.web.wording import readable

CELL_CLASSES = {"SUCCEEDED": "good", "FAILED": "bad", "CANCELLED": "still", SKIPPED: "skipped"}
"""Colour of a cell in the strip of runs; any other run is in progress."""


def cell_class(run: PolicyRun) -> str:
    if run.status == "SUCCEEDED" and run.job is not None:
        if run.job.backup.is_damaged:
            return "bad"
        if run.job.backup.omissions:
            return "incomplete"
    return CELL_CLASSES.get(run.status, "busy")


def run_summary(run: PolicyRun) -> str:
    """Describe a run in one line, for readers who cannot see its colour."""
    at = f"{run.planned_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    labels = (", manual" if run.is_manual else "") + (", catch-up" if run.is_catch_up else "")
    problem = why_of(run)
    return f"{run.status.capitalize()}, {at}{labels}{': ' if problem else ''}{problem}"


def why_of(run: PolicyRun) -> str:
    return readable(_problem_of(run))


def _problem_of(run: PolicyRun) -> str:
    if run.skip_reason or run.job is None:
        return run.skip_reason
    if run.status == "SUCCEEDED":
        backup = run.job.backup
        damage = [f"The backup is damaged: {backup.damage_text}."] if backup.is_damaged else []
        return " ".join([*damage, *backup.omissions])
    return run.job.task.message if run.status == "FAILED" else ""
