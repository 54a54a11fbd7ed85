"""The Celery application: a way to wake workers and to beat time. What is true stands in the
database.
"""

from __future__ import annotations

import os
from functools import cached_property

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")
# Django's checks look at every page and would have each worker and beat import all of the web;
# `make check` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


class Application(Celery):
    @cached_property
    def Beat(self) -> type:  # noqa: N802
        """What `celery beat` runs; only that program imports it."""
        from vbase_console.beat_program import Beat

        return self.subclass_with_self(Beat)


app = Application("vbase_console")
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
