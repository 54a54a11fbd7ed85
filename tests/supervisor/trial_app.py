"""A Celery application with the console's own settings, and tasks that die the first time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import django
from celery import Celery, shared_task
from django.conf import settings

SHORT_VISIBILITY_SECONDS = 2

django.setup()

app = Celery("trial")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.broker_transport_options = {
    **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    "visibility_timeout": SHORT_VISIBILITY_SECONDS,
}


def _is_first(diary: str) -> bool:
    """Leaves a line for each time."""
    with open(diary, "a") as file:
        file.write(f"{os.getpid()}\n")
    return len(Path(diary).read_text().splitlines()) == 1


@shared_task(name="trial.killed")
def killed(diary: str) -> None:
    """As the kernel ends a process when memory is short."""
    if _is_first(diary):
        os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="trial.waiting")
def waiting(diary: str) -> None:
    """The first time it waits for the whole worker to be killed."""
    if _is_first(diary):
        time.sleep(600)
