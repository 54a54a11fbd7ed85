"""Progress of tasks as live parts of pages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.template.loader import render_to_string

from vbase_console.core.prepared import Prepared
from vbase_console.core.quantities import duration_text
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import ACTIVE, TaskState
from vbase_console.web.live import LivePart, digest, marked

PART_ID = re.compile(r"progress-([\w-]+)-(bar|line)\Z")
COLUMNS = ("task_id", "kind", "state", "phase", "progress", "message", "is_leased")
LEAST_PROGRESS = 5
"""Percent from which the time left is estimated."""
MAX_TASKS = 100
"""Tasks in one request. The page's script sends no longer header."""
STATEMENT_SIZES = (1, 10, MAX_TASKS)
"""Numbers of ids in the prepared statements. Shorter lists are filled up with empty ids."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskProgress:
    """Values of a task that its progress shows."""

    task_id: str
    kind: str
    state: str
    phase: str
    progress: int
    message: str
    is_leased: bool
    seconds_left: int | None
    """Estimate from the rate so far, in steps of 5 s."""

    @property
    def time_left(self) -> str:
        return "" if self.seconds_left is None else duration_text(self.seconds_left)

    @property
    def step(self) -> str:
        """Digest of the values besides progress and message."""
        return digest(self.state, self.phase)


def progress_of(principal: Principal, known: Mapping[str, str]) -> dict[str, str] | None:
    """Implements `vbase_console.web.live.progress_of`. A task in another state or phase changes
    more than its progress. The progress of an ended task is not rendered, because it stays.
    """
    forms = _forms_of_tasks(known)
    if len(forms) > MAX_TASKS:
        return None
    parts: dict[str, str] = {}
    for progress in _read(principal, forms):
        for form in forms[progress.task_id]:
            mark = known[f"progress-{progress.task_id}-{form}"]
            if mark.partition(".")[2] != progress.step:
                return None
            if progress.state not in ACTIVE:
                continue
            part = _render(progress, form)
            if part.mark != mark:
                parts[part.id] = part.html
    return parts


def _forms_of_tasks(known: Iterable[str]) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for part_id in known:
        if match := PART_ID.match(part_id):
            forms.setdefault(match[1], []).append(match[2])
    return forms


def progress_part(task: Task, form: str) -> LivePart:
    """Render the progress of a task, as a bar with its message or as a number in a line."""
    values = {name: getattr(task, name) for name in COLUMNS if name != "is_leased"}
    elapsed = task.updated_at - task.started_at if task.started_at else None
    is_leased = task.lease_until is not None
    return _render(_progress(values | {"is_leased": is_leased}, elapsed), form)


def _progress(values: dict[str, Any], elapsed: timedelta | int | None) -> TaskProgress:
    """`elapsed` is the time from the start to the last report; SQLite returns microseconds."""
    seconds_left = None
    done, is_running = values["progress"], values["state"] == TaskState.RUNNING
    if elapsed is not None and is_running and LEAST_PROGRESS <= done < 100:
        seconds = elapsed.total_seconds() if isinstance(elapsed, timedelta) else elapsed / 1e6
        seconds_left = 5 * round(max(0.0, seconds) * (100 - done) / done / 5)
    return TaskProgress(**values, seconds_left=seconds_left or None)


@lru_cache(maxsize=1_000)
def _render(progress: TaskProgress, form: str) -> LivePart:
    """Render equal values once, because every open page asks for them."""
    context = {"task": progress, "form": form}
    html = render_to_string("tasks/partials/progress.html", context).strip()
    mark = f"{digest(html)}.{progress.step}"
    part_id = f"progress-{progress.task_id}-{form}"
    html = marked(html, mark, is_busy=progress.state in ACTIVE)
    return LivePart(id=part_id, mark=mark, html=html)


def _read(principal: Principal, task_ids: Iterable[str]) -> Iterator[TaskProgress]:
    wanted = sorted(task_ids)
    if not wanted:
        return
    size = next(size for size in STATEMENT_SIZES if size >= len(wanted))
    filled = [*wanted, *[""] * (size - len(wanted))]
    for row in _statement(size).rows(principal.organization_id, *filled):
        yield _progress(dict(zip(COLUMNS, row[:-1], strict=True)), row[-1])


@cache
def _statement(size: int) -> Prepared:
    """Query for the progress of visible tasks by their ids."""

    def build(organization_id: UUID, *task_ids: str) -> QuerySet[Task, tuple[Any, ...]]:
        principal = Principal(organization_id=organization_id, label="", scopes=frozenset())
        tasks = Task.objects.visible_to(principal).filter(task_id__in=task_ids)
        leased = ExpressionWrapper(Q(lease_until__isnull=False), output_field=BooleanField())
        elapsed = ExpressionWrapper(F("updated_at") - F("started_at"), output_field=DurationField())
        tasks = tasks.order_by().annotate(is_leased=leased, elapsed=elapsed)
        return tasks.values_list(*COLUMNS, "elapsed")

    return Prepared(build, UUID(int=0), *(f"<task {number}>" for number in range(size)))
