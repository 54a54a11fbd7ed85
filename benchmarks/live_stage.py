"""Changes for benchmarks.live_pages: a running task whose progress moves, and single changes."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import django


def main() -> None:
    """Obey one word per line: `run` a task, `move` its progress, make a `step` to another
    state, `change` a cluster.
    """
    from django.utils import timezone

    from clusters.models import Cluster
    from vbase_console.organizations.versions import raise_version
    from vbase_console.tasks.models import Task

    Cluster.objects.update(status="RUNNING", condition="RUNNING")
    cluster = Cluster.objects.earliest("created_at")
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        if word == "run":
            Task.objects.create(
                task_id="task-bench",
                organization_id=cluster.organization_id,
                kind="SCALING",
                subject_id=cluster.pk,
                state="RUNNING",
                phase="scaling",
                lease_until=timezone.now() + timedelta(days=1),
            )
        if word == "move":
            Task.objects.update(progress=int(time.time()) % 100)
        if word == "step":
            state = ("CANCELLING", "RUNNING")[int(value) % 2]
            Task.objects.update(state=state, message=f"Step {value}")
        if word in ("run", "change"):
            Cluster.objects.filter(pk=cluster.pk).update(status_message=str(time.time()))
            raise_version(cluster.organization_id)
        print(time.time(), flush=True)


if __name__ == "__main__":
    django.setup()
    main()
