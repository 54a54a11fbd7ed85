"""No page reads the whole history: every query finds its rows by an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from backups.models import FOUND_BY_READING, Backup, BackupJob
from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from vbase_console.core import paginators
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.organizations.models import Organization
from vbase_console.organizations.services import add_member, create_organization

pytestmark = pytest.mark.django_db
GROWING = (
    "tasks_task",
    "tasks_taskevent",
    "backups_backup",
    "backups_backupjob",
    "policies_policyrun",
)
"""Tables that grow with the history of an organization."""
PAGES = (
    "",
    "operations",
    "operations?state=FAILED",
    "operations?kind=RESTART",
    "operations?kind=VERIFY",
    "operations?day={day}",
    "clusters/{cluster}/operations?day={day}",
    "backups",
    "backups?status=DAMAGED",
    "policies",
    "protection",
    "clusters/{cluster}",
    "clusters/{cluster}/operations",
    "clusters/{cluster}/backups",
    "clusters/{cluster}/delete",
    "clusters/{cluster}/clone",
    "policies/{policy}",
    "policies/{policy}/runs",
    "backups/{backup}",
    "backups/{backup}/delete",
    "search?q={backup}",
    "search?q=default",
)


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Two organizations for all tests of the file, because filling them takes a second."""
    with django_db_blocker.unblock():
        owner = User.objects.create_user("seeded", password="none")
        create_organization(name="acme", owner=owner)
        for name in ("other", "sample"):
            call_command("seed_demo", organization=name, clusters=10, backups=300, tasks=300)
        some = list(Backup.objects.order_by("name").values_list("pk", flat=True)[:40])
        Backup.objects.filter(pk__in=some).update(damage_found_by=FOUND_BY_READING)
        update_planner_statistics()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
    yield
    with django_db_blocker.unblock():
        call_command("flush", interactive=False)


@pytest.fixture
def sample(seeded: None, db: None, alice: User) -> dict[str, str]:
    add_member(Organization.objects.get(name="sample"), user=alice, role="owner")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    cluster = Cluster.objects.filter(organization__name="sample").earliest("created_at")
    return {
        "cluster": cluster.pk,
        "policy": BackupPolicy.objects.get(cluster=cluster).pk,
        "backup": Backup.objects.filter(cluster=cluster).latest("created_at").name,
        "day": (timezone.now() - timedelta(days=20)).date().isoformat(),
    }


def scans(client: Client, address: str) -> list[str]:
    """Tables of the history that a page reads from one end to the other."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    statements = [query["sql"] for query in captured.captured_queries]
    return [table for sql in statements if sql.startswith("SELECT") for table in scanned(sql)]


def scanned(sql: str) -> list[str]:
    pattern = r"SCAN (\w+)" if connection.vendor == "sqlite" else r"Seq Scan on (\w+)"
    found = re.findall(pattern, plan_of(sql))
    return [table for table in found if table in GROWING]


def plan_of(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}".replace("%", "%%"))
        return " \n".join(str(row[-1]) for row in cursor.fetchall())


def test_no_page_reads_a_table_of_the_history_as_a_whole(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(alice)
    found = {page: scans(client, f"/o/sample/{page.format(**sample)}") for page in PAGES}
    assert {page: tables for page, tables in found.items() if tables} == {}


def indexes_of(client: Client, address: str, table: str) -> set[str]:
    """Indexes by which a page reads a table."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    plans = " ".join(
        plan_of(query["sql"])
        for query in captured.captured_queries
        if f'FROM "{table}"' in query["sql"] and query["sql"].startswith("SELECT")
    )
    return set(re.findall(r"(?:INDEX|using|Scan on) (backup_\w+|task_\w+)", plans))


def test_a_search_for_a_rare_word_reads_the_backups_that_have_it(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    found = indexes_of(signed_in(alice), f"/o/sample/search?q={sample['backup']}", "backups_backup")
    assert found
    assert found <= {"backup_by_name", "backup_by_prefix"}


@pytest.mark.parametrize(
    ("page", "table", "index"),
    [
        ("backups?status=DAMAGED", "backups_backup", "backup_damaged"),
        ("backups/{backup}/delete", "backups_backup", "backup_damaged"),
        ("operations?state=FAILED", "tasks_task", "task_failed"),
        ("operations?state=CANCELLED", "tasks_task", "task_cancelled"),
        ("operations?day={day}", "tasks_task", "task_ended"),
    ],
)
def test_rare_rows_have_an_index_of_their_own(
    page: str,
    table: str,
    index: str,
    sample: dict[str, str],
    alice: User,
    signed_in: Callable[[User], Client],
) -> None:
    found = indexes_of(signed_in(alice), f"/o/sample/{page.format(**sample)}", table)
    assert any(name.startswith(index) for name in found)


def test_it_notices_a_query_that_reads_a_whole_table(sample: dict[str, str]) -> None:
    assert scanned("SELECT message FROM tasks_task WHERE message = 'x'") == ["tasks_task"]


def test_a_long_list_says_that_there_is_more_and_ends(
    sample: dict[str, str],
    alice: User,
    signed_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paginators, "MAX_PAGED_ROWS", 100)
    client = signed_in(alice)
    first = client.get("/o/sample/backups").content.decode()
    last = client.get("/o/sample/backups?page=9").content.decode()
    assert "1 to 50 of more than 100" in first
    assert "51 to 100 of more than 100" in last
    assert "Filter or sort the list to reach the other rows." in last


def test_a_short_list_is_counted_exactly(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    page = signed_in(alice).get("/o/sample/backups").content.decode()
    assert "1 to 50 of 300" in page


def test_counting_stops_after_the_last_row_that_is_paged(monkeypatch: Any, db: None) -> None:
    monkeypatch.setattr(paginators, "MAX_PAGED_ROWS", 100)
    with CaptureQueriesContext(connection) as captured:
        paginators.BoundedPaginator(Backup.objects.all(), 50).count  # noqa: B018
    assert "LIMIT 101" in captured.captured_queries[0]["sql"]


@pytest.fixture
def long_lists(sample: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginators, "MAX_PAGED_ROWS", 100)


@pytest.mark.usefixtures("long_lists")
def test_a_long_list_finds_the_beginning_of_a_name_and_says_so(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    client, name = signed_in(alice), sample["backup"]
    found = client.get("/o/sample/backups", {"q": name[:-1]}).content.decode()
    assert name in found
    assert "finds the beginning of names and complete ids" in found
    assert name not in client.get("/o/sample/backups", {"q": name[1:]}).content.decode()


@pytest.mark.usefixtures("long_lists")
def test_a_filter_that_shortens_a_long_list_lets_it_search_anywhere(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    given = {"q": sample["backup"][1:], "cluster": sample["cluster"]}
    assert sample["backup"] in signed_in(alice).get("/o/sample/backups", given).content.decode()


@pytest.mark.usefixtures("long_lists")
@pytest.mark.parametrize("page", ["backups?sort=size_bytes", "operations?sort=cluster_name"])
def test_a_long_list_refuses_an_order_without_an_index(
    page: str, alice: User, signed_in: Callable[[User], Client]
) -> None:
    content = signed_in(alice).get(f"/o/sample/{page}").content.decode()
    assert "It cannot be sorted by this column. Set another filter" in content


@pytest.mark.usefixtures("long_lists")
def test_a_long_list_of_operations_finds_complete_ids_of_each_kind(
    sample: dict[str, str], alice: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(alice)
    jobs = BackupJob.objects.filter(organization__name="sample").select_related("task")
    job = jobs.get(backup__name=sample["backup"])
    for text in (job.task.task_id, job.backup_id, job.cluster_id):
        found = client.get("/o/sample/operations", {"q": text}).content.decode()
        assert job.task.task_id in found
    assert (
        "No operation matches."
        in client.get("/o/sample/operations", {"q": job.task.task_id[:-1]}).content.decode()
    )


@pytest.mark.usefixtures("long_lists")
@pytest.mark.parametrize(
    "page",
    [
        "backups?q=default",
        "backups?sort=name",
        "backups?cluster=search",
        "operations?q=vc-0",
        "operations?q=job-0",
        "operations?q=bak-0",
        "operations?sort=kind",
        "operations?cluster=search",
    ],
)
def test_no_search_of_a_long_list_reads_a_table_as_a_whole(
    page: str, alice: User, signed_in: Callable[[User], Client]
) -> None:
    assert scans(signed_in(alice), f"/o/sample/{page}") == []


def test_support_sees_that_a_list_is_not_counted_to_its_end(
    sample: dict[str, str], sam: User, signed_in: Callable[[User], Client], monkeypatch: Any
) -> None:
    monkeypatch.setattr(paginators, "MAX_PAGED_ROWS", 100)
    page = signed_in(sam).get("/admin/tasks/task/").content.decode()
    assert "More than 100 tasks" in page
