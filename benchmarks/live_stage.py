"""Changes for benchmarks.live_pages: a running task whose progress moves, and single changes."""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import django


def main() -> None:
    """Obey one word per line: `run` a task, `move` its progress, `change` the version."""
    from django.utils import timezone

    from clusters.models import Cluster
    from vbase_console.organizations.versions import raise_version
    from vbase_console.tasks.models import Task

    Cluster.objects.update(status="RUNNING", condition="RUNNING")
    cluster = Cluster.objects.earliest("created_at")
    for line in sys.stdin:
        if line == "run\n":
            Task.objects.create(
                task_id="task-bench",
                organization_id=cluster.organization_id,
                kind="SCALING",
                subject_id=cluster.pk,
                state="RUNNING",
                phase="scaling",
                lease_until=timezone.now() + timedelta(days=1),
            )
        if line == "move\n":
            Task.objects.update(progress=int(time.time()) % 100)
        if line in ("run\n", "change\n"):
            Cluster.objects.filter(pk=cluster.pk).update(status_message=str(time.time()))
            raise_version(cluster.organization_id)
        print(time.time(), flush=True)


if __name__ == "__main__":
    django.setup()
    main()
