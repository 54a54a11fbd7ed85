"""One console with sample data, which answers requests of benchmarks.pages in its own process.

Standard input has one request per line, standard output one measurement.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import django

NAME = "sample"
PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
LISTED = {
    "clusters": ("cluster", "loadsample"),
    "backups": ("backup", "backupjob"),
    "policies": ("backuppolicy", "policyrun"),
    "protection": ("knowncollection", "inventoryscan"),
    "tasks": ("task",),
    "organizations": ("organization", "auditentry", "apikey"),
}
"""App → models whose admin lists are measured."""
QUERIES = (
    "backups?q=default-2026",
    "backups?sort=size_bytes",
    "backups?status=DAMAGED",
    "operations?q=search",
    "operations?sort=cluster_name",
    "operations?state=FAILED",
)
"""Searches, orders and filters of lists that grow with the history."""


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
    _analyze()
    return {"seconds": seconds, "requests": list(_requests())}


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
    cpu, began = time.process_time(), time.perf_counter()
    response = client.generic(method, path, b"{}", content_type="application/json")
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"status": response.status_code, "wall": wall * 1000, "cpu": cpu * 1000}


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
    for query in QUERIES:
        path = f"/o/{NAME}/{query}"
        yield {"name": path, "as": "person", "call": {"method": "GET", "path": path}}
    path = f"/v1/vbase/backup/org/{values['organization_id']}"
    yield {"name": f"POST {path}", "as": "program", "call": {"method": "POST", "path": path}}
    for app, models in LISTED.items():
        for model in models:
            path = f"/admin/{app}/{model}/"
            yield {"name": path, "as": "person", "call": {"method": "GET", "path": path}}


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
    from clusters.models import Cluster
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
    }


if __name__ == "__main__":
    django.setup()
    main(*map(int, sys.argv[1:]))
