"""One embedded cluster in a console of its own. Requires Django."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from django.core.management import call_command

from clusters.drivers.embedded.shutdown import stop_all
from clusters.models import Cluster
from clusters.services import create_cluster
from vbase_console.management.commands.prepare import write_ahead
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.services import create_organization, get_or_create_user
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as tasks
from vbase_console.tasks.worker import run_task

_STOP_SECONDS = 60


@contextlib.contextmanager
def embedded_cluster() -> Iterator[Cluster]:
    """It runs until the end of the block; jobs wait for `run_task`, since no worker is woken."""
    tasks.wake = lambda task_id: True
    cluster, task = create_cluster(_owner(), name="bench")
    run_task(task.task_id)
    cluster.refresh_from_db()
    try:
        yield cluster
    finally:
        stop_all(Path(os.environ["VBASE_DATA_DIR"]), timeout_seconds=_STOP_SECONDS)


def _owner() -> Principal:
    write_ahead()
    call_command("migrate", interactive=False, verbosity=0)
    owner = get_or_create_user(email="owner@example.com")
    create_organization(name="bench", owner=owner)
    return principal_of_member(owner, "bench")
