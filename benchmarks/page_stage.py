"""One console with sample data, which answers requests of benchmarks.pages in its own process.

Standard input has one request per line, standard output one measurement.
"""

from __future__ import annotations

import gc
import json
import re
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import django

NAME = "sample"
PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
PAGES = (
    "/o/{organization}/backups?q=default-2026",
    "/o/{organization}/backups?sort=size_bytes",
    "/o/{organization}/backups?status=DAMAGED",
    "/o/{organization}/operations?q=search",
    "/o/{organization}/operations?sort=cluster_name",
    "/o/{organization}/operations?state=FAILED",
    "/o/{organization}/search?q=search",
    "/o/{organization}/search?q=default",
    "/o/{organization}/search?q={backup_name}",
    "/o/{organization}/rollouts/new?id={cluster_id}",
    *(f"/o/{{organization}}/{name}?export=csv" for name in ("backups", "clusters", "operations")),
    "/o/{organization}/activity?export=csv",
    "/admin/",
    "/admin/search/?q=search",
    "/admin/search/?q=default",
    "/admin/search/?q={backup_name}",
    "/admin/search/?q={cluster_id}",
    "/admin/clusters/cluster/{cluster_id}/story/",
    "/admin/tasks/task/?state__exact=FAILED",
)
"""Searches, orders, filters and exports of lists that grow with the history, and pages of support.
Exports are read until their first row.
"""
CALLS = (
    ("GET", "/v1/vbase/search?q=search"),
    ("POST", "/v1/vbase/backup/org/{organization_id}"),
)
ROWS_OF_EXPORT = 2
"""Chunks that are read: the headings and the first row."""


def main(clusters: int, rows: int) -> None:
    from django.conf import settings

    from benchmarks.policy_rows import make_console

    # Static files are not collected.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    make_console()
    answer(_seed(clusters, rows))
    client = _clients()
    gc.collect()
    gc.freeze()  # as in vbase_console/wsgi.py
    for line in sys.stdin:
        request = json.loads(line)
        answer(_measure(client[request["as"]], **request["call"]))


def answer(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _seed(clusters: int, rows: int) -> dict[str, Any]:
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from vbase_console.organizations.services import create_organization

    owner = User.objects.create_superuser("owner@example.com", "owner@example.com")
    create_organization(name="first", owner=owner)
    began = time.perf_counter()
    call_command(
        "seed_demo",
        organization=NAME,
        clusters=clusters,
        backups=rows,
        tasks=rows,
        stdout=sys.stderr,
    )
    seconds = time.perf_counter() - began
    _make_real()
    _fill_lists_of_problems()
    _analyze()
    return {"seconds": seconds, "requests": list(_requests())}


def _make_real() -> None:
    """Pages of support leave out sample data. Adds a rollout of as many clusters as it may have."""
    from django.utils import timezone

    from clusters.models import Cluster, Rollout, RolloutStep
    from clusters.rollouts import MAX_CLUSTERS
    from clusters.states import RolloutState, StepState
    from vbase_console.organizations.models import Organization

    organization = Organization.objects.get(name=NAME)
    Organization.objects.filter(pk=organization.pk).update(is_demo=False)
    rollout = Rollout.objects.create(
        organization=organization,
        version="2",
        state=RolloutState.SUCCEEDED,
        finished_at=timezone.now(),
    )
    clusters = Cluster.objects.filter(organization=organization)[:MAX_CLUSTERS]
    RolloutStep.objects.bulk_create(
        RolloutStep(
            rollout=rollout,
            position=position,
            cluster=cluster,
            from_version="1",
            state=StepState.SUCCEEDED,
        )
        for position, cluster in enumerate(clusters, start=1)
    )


def _fill_lists_of_problems() -> None:
    """Both consoles show a full page of damaged backups and of failed tasks and jobs, so that the
    ratio is that of their histories and not that of the rows shown.
    """
    from backups.models import FOUND_BY_READING, Backup
    from backups.states import JOB_ID_PREFIX
    from vbase_console.tasks.models import Task
    from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState
    from vbase_console.web.lists import PAGE_SIZE

    for prefix in (TASK_ID_PREFIX, JOB_ID_PREFIX):
        ended = Task.objects.filter(id_prefix=prefix, state=TaskState.SUCCEEDED)
        Task.objects.filter(pk__in=_spread(ended, PAGE_SIZE)).update(state=TaskState.FAILED)
    undamaged = Backup.objects.filter(damage_found_by="")
    Backup.objects.filter(pk__in=_spread(undamaged, PAGE_SIZE)).update(
        damage_found_by=FOUND_BY_READING, verified_at=None, proven_at=None
    )


def _spread(rows: Any, count: int) -> list[Any]:
    keys = list(rows.order_by("created_at").values_list("pk", flat=True))
    return keys[:: len(keys) // count][:count]


def _analyze() -> None:
    """Collect the statistics that PostgreSQL's autovacuum collects by itself."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _clients() -> dict[str, Any]:
    from django.contrib.auth.models import User
    from django.test import Client

    from vbase_console.organizations.models import Organization
    from vbase_console.organizations.scopes import ALL_SCOPES
    from vbase_console.organizations.services import issue_api_key

    owner = User.objects.get()
    _, key = issue_api_key(Organization.objects.get(name=NAME), name="bench", scopes=ALL_SCOPES)
    person = Client(raise_request_exception=False, SERVER_NAME="localhost")
    person.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    headers = {"authorization": f"Bearer {key}"}
    program = Client(raise_request_exception=False, SERVER_NAME="localhost", headers=headers)
    return {"person": person, "program": program}


def _measure(client: Any, method: str, path: str) -> dict[str, Any]:
    cpu, began = _processor_seconds(), time.perf_counter()
    response = client.generic(method, path, b"{}", content_type="application/json")
    if response.streaming:
        list(islice(response, ROWS_OF_EXPORT))
    wall, cpu = time.perf_counter() - began, _processor_seconds() - cpu
    response.close()
    return {"status": response.status_code, "wall": wall * 1000, "cpu": cpu * 1000}


def _processor_seconds() -> float:
    """Time of this process, and of the process of PostgreSQL that serves its connection."""
    from django.db import connection

    own = time.process_time()
    if connection.vendor != "postgresql":
        return own
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    return own + int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


# -- what is requested -----------------------------------------------------------------------------


def _requests() -> Iterator[dict[str, Any]]:
    """Every page and every reading endpoint with the values of the sample in its address."""
    values = _values()
    for pattern in _patterns("/", None):
        places = PLACE.findall(pattern)
        if pattern.startswith(("/o/", "/v1/")) and set(places) <= values.keys():
            path = PLACE.sub(lambda place: values[place.group(1)], pattern)
            kind = "person" if pattern.startswith("/o/") else "program"
            yield {"name": pattern, "as": kind, "call": {"method": "GET", "path": path}}
    for page in (*PAGES, *_lists_of_the_admin()):
        call = {"method": "GET", "path": page.format(**values)}
        yield {"name": page, "as": "person", "call": call}
    for method, path in CALLS:
        call = {"method": method, "path": path.format(**values)}
        yield {"name": f"{method} {path}", "as": "program", "call": call}


def _lists_of_the_admin() -> Iterator[str]:
    from django.contrib import admin
    from django.urls import reverse

    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"admin:{name}_changelist")


def _patterns(prefix: str, resolver: Any) -> Iterator[str]:
    from django.urls import URLPattern, get_resolver
    from django.urls.resolvers import RoutePattern

    for entry in (resolver or get_resolver()).url_patterns:
        if not isinstance(entry.pattern, RoutePattern):
            continue
        if isinstance(entry, URLPattern):
            yield f"{prefix}{entry.pattern}"
        else:
            yield from _patterns(f"{prefix}{entry.pattern}", entry)


def _values() -> dict[str, str]:
    """Ids of the first cluster, whose lists are full, and of its latest rows."""
    from backups.models import BackupJob
    from clusters.models import Cluster, Rollout
    from clusters.states import TaskKind
    from vbase_console.organizations.models import Membership
    from vbase_console.tasks.models import Task

    cluster = Cluster.objects.earliest("created_at")
    jobs = BackupJob.objects.filter(cluster=cluster).select_related("task", "backup", "cluster")
    job = jobs.latest("task_id")
    task = Task.objects.filter(kind__in=TaskKind.values, subject_id=cluster.pk).latest("pk")
    return {
        "organization": NAME,
        "organization_id": str(job.organization_id),
        "cluster_id": job.cluster_id,
        "service_id": job.cluster.service_id,
        "task_id": task.task_id,
        "job_id": job.task.task_id,
        "backup_name": job.backup.name,
        "policy_id": job.policy_id,
        "membership_id": str(Membership.objects.latest("pk").pk),
        "rollout_id": Rollout.objects.latest("created_at").pk,
    }


if __name__ == "__main__":
    django.setup()
    main(*map(int, sys.argv[1:]))
