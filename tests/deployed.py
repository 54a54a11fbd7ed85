"""A cluster as a worker leaves it behind its DEPLOYMENT, in five statements instead of fifty.

Most tests are given a cluster that runs and are not about how it came up. The driver makes it as
always; what the attempt would have written step by step is written at once.
`tests/clusters/test_deployed.py` compares both ways, row by row.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from clusters.driver import columns_of, default_driver, driver_of, observe, spec_of
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.states import ServiceStatus
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import TaskState
from vbase_console.tasks.worker import worker_name


def can_be_deployed_at_once(task: Task) -> bool:
    """True if the task needs no worker: nothing is to fail, and no other task waits."""
    driver = default_driver()
    undisturbed = isinstance(driver, MemoryDriver) and not driver._failures
    return undisturbed and not Task.objects.active().exclude(pk=task.pk).exists()


def deploy_at_once(cluster: Cluster, task: Task) -> None:
    steps = list(driver_of(cluster).create(spec_of(cluster), lambda: None))
    history = [(TaskState.RUNNING, 0, "", "Started.")]
    history += [
        (TaskState.RUNNING, min(step.percent, 99), step.phase, step.message) for step in steps
    ]
    history += [(TaskState.SUCCEEDED, 100, steps[-1].phase, "Done.")]
    with transaction.atomic():
        TaskEvent.objects.bulk_create(
            TaskEvent(
                task=task, epoch=1, state=state, progress=progress, phase=phase, message=message
            )
            for state, progress, phase, message in history
        )
        Task.objects.filter(pk=task.pk).update(
            state=TaskState.SUCCEEDED,
            progress=100,
            phase=steps[-1].phase,
            message="Done.",
            epoch=1,
            worker=worker_name(),
            started_at=Now(),
            updated_at=Now(),
            finished_at=Now(),
        )
        changes = columns_of(observe(cluster))
        Cluster.objects.filter(pk=cluster.pk).update(
            status=ServiceStatus.RUNNING, updated_at=timezone.now(), **changes
        )
