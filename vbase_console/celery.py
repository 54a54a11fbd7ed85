"""The Celery application. Messages only wake workers; the database decides which work is due."""

from __future__ import annotations

import os
import signal
from functools import cached_property
from typing import Any

import django
from billiard.process import current_process
from celery import Celery
from celery.signals import worker_process_init
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")
# Django's checks look at every page and would have each worker and beat import all of the web;
# `make check` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


class Application(Celery):
    @cached_property
    def Beat(self) -> type:  # noqa: N802
        """Program of `celery beat`, which alone imports it."""
        django.setup()  # Celery reads this property before its own call of setup().
        return self.subclass_with_self(import_string("vbase_console.supervisor.beat.Beat"))


app = Application("vbase_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["consumer"].add("vbase_console.tasks.consumption:Consumption")
app.autodiscover_tasks(["vbase_console.tasks"], related_name="worker")
app.autodiscover_tasks(related_name="sweeps")


@worker_process_init.connect
def end_with_worker(**event: Any) -> None:
    """Kill a pool process whose worker was killed, because under `KillMode=process` a service
    manager ends the worker alone, and a process without a worker must not continue a task.
    """
    from vbase_console.supervisor import processes

    worker: int = current_process()._parent_pid  # type: ignore[attr-defined]
    processes.die_with(worker, signal.SIGKILL)
