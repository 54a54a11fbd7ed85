from __future__ import annotations

from django import template
from django.utils.safestring import SafeString, mark_safe

from vbase_console.tasks.models import Task
from vbase_console.tasks.progress import progress_part
from vbase_console.web.live import Live

register = template.Library()


@register.simple_tag(takes_context=True)
def task_progress(context: template.Context, task: Task, form: str) -> SafeString:
    """Render the progress of a task as a live part: `{% task_progress task "bar" %}`."""
    part = progress_part(task, form)
    live: Live | None = getattr(context.get("request"), "live", None)
    if live:
        live.add(part)
    return mark_safe(part.html)  # noqa: S308
