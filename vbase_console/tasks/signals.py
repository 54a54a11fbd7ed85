"""Signals of the task engine, for notifications and metrics."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal

from vbase_console.tasks.models import Task

task_finished = Signal()
"""Sent once with `task` after the commit of its end: SUCCEEDED, FAILED or CANCELLED.

A receiver's failure is logged and changes nothing. A process that is killed between the commit and
the signal sends none, so what must not be missed belongs into `Job.settled`.
"""


def send_task_finished(task: Task) -> None:
    """Send `task_finished` when the current transaction has been committed."""
    transaction.on_commit(lambda: task_finished.send_robust(sender=Task, task=task), robust=True)
