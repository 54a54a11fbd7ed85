"""The Celery application: a way to wake workers and to beat time. What is true stands in the
database.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import beat_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

app = Celery("vbase_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["vbase_console.tasks"], related_name="worker")
app.autodiscover_tasks(["vbase_console.tasks"], related_name="sweeps")
app.autodiscover_tasks(["clusters"], related_name="reconcile")
app.autodiscover_tasks(["clusters"], related_name="autoscale")
app.autodiscover_tasks(["backups"], related_name="janitor")
app.autodiscover_tasks(["backups.protection"], related_name="sweep")
app.autodiscover_tasks(["backups.policies"], related_name="dispatch")
app.autodiscover_tasks(["backups.policies"], related_name="pruning")
app.autodiscover_tasks(["vbase_console.organizations"], related_name="sweeps")
app.autodiscover_tasks(["vbase_console.api"], related_name="sweeps")


@beat_init.connect
def let_beat_leave_its_query_first(**_: Any) -> None:
    """Celery's handler writes to the database in the middle of whatever it interrupts, and where
    that is a query, one of the two fails, or both wait for each other for ever. Beat writes once
    more when it has left its loop.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
