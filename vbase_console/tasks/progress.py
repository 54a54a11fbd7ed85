"""Progress of tasks as live parts of pages."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.template.loader import render_to_string

from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.web.live import Part, digest, marked

PART_ID = re.compile(r"progress-([\w-]+)-(bar|line)\Z")


def progress_of(principal: Principal, known: Mapping[str, str]) -> dict[str, str] | None:
    """Implements `vbase_console.web.live.progress_of`. A task in another state or phase changes
    more than its progress.
    """
    shown = {found[1] for part_id in known if (found := PART_ID.match(part_id))}
    tasks = Task.objects.visible_to(principal).filter(task_id__in=shown) if shown else ()
    parts: dict[str, str] = {}
    for task in tasks:
        for form in ("bar", "line"):
            part = progress_part(task, form)
            mark = known.get(part.id)
            if mark is None or mark == part.mark:
                continue
            if mark.partition(".")[2] != step_of(task):
                return None
            parts[part.id] = part.html
    return parts


def step_of(task: Task) -> str:
    """Digest of what a page shows of a task besides its progress."""
    return digest(task.state, task.phase)


def progress_part(task: Task, form: str) -> Part:
    """Render the progress of a task, as a bar with its message or as a number in a line."""
    html = render_to_string("tasks/partials/progress.html", {"task": task, "form": form}).strip()
    mark = f"{digest(html)}.{step_of(task)}"
    part_id = f"progress-{task.task_id}-{form}"
    return Part(id=part_id, mark=mark, html=marked(html, mark, is_busy=task.is_active))
