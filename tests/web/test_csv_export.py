"""Lists as CSV: all filtered rows, in the order of the list, and no formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.protection.models import KnownCollection
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.policies.pages import skip
from tests.web.conftest import Browser
from vbase_console.organizations.services import (
    add_member,
    create_organization,
    get_or_create_user,
)
from vbase_console.web import csv_export
from vbase_console.web.csv_export import Export, cell

LISTS = (
    *("cluster-list", "backup-list", "operation-list", "policy-list"),
    *("activity-list", "membership-list", "api-key-list", "protection"),
)


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


def lines(answer: Any) -> list[list[str]]:
    text = b"".join(answer.streaming_content).decode()
    return list(csv.reader(io.StringIO(text)))


def test_it_has_all_filtered_rows_in_the_order_of_the_list(
    cluster: Cluster, alices: Browser
) -> None:
    for number in range(60):
        seed_backup(cluster, f"nightly-{number:02}")
    seed_backup(cluster, "other")
    exported = lines(alices.open("backup-list", q="nightly", sort="name", export="csv"))
    assert exported[0][:3] == ["Name", "Cluster", "Database"]
    assert [line[0] for line in exported[1:]] == [f"nightly-{number:02}" for number in range(60)]


@pytest.mark.parametrize("name", LISTS)
def test_every_list_is_exported_as_a_file_and_linked(
    cluster: Cluster, alices: Browser, api_key: str, name: str
) -> None:
    seed_backup(cluster, "nightly")
    answer = alices.open(name, export="csv")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="acme-')
    assert len({len(line) for line in lines(answer)}) == 1
    page = alices.open(name)
    assert b"export=csv" in page.content or not page.context["rows"]


def test_the_runs_of_a_policy_are_exported_with_skipped_ones(
    cluster: Cluster, alices: Browser
) -> None:
    policy = create_policy(cluster, PolicySpec(schedule_cron="@daily", retention_count=1))
    skip(policy)
    exported = lines(alices.open("policy-runs", policy.pk, export="csv"))
    assert exported[1][exported[0].index("Skipped because")]


def test_the_rows_of_others_are_not_exported(cluster: Cluster, charlies: Browser) -> None:
    charlies.organization = "other"
    assert len(lines(charlies.open("cluster-list", export="csv"))) == 1


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\uff1d1", " =1", "\u200b=1"]
)
def test_a_formula_is_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("separator", [";", "\t", "|", "\n"])
def test_a_formula_behind_a_separator_is_text(separator: str) -> None:
    assert cell(f"nightly{separator}=1+2") == f"nightly{separator}'=1+2"
    assert str(cell(f"{separator}=1+2")).endswith(f"{separator}'=1+2")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1, -1), (None, ""), (True, "yes"), ("a=b", "a=b"), (["=x"], '["=x"]'), (2.5, 2.5)],
)
def test_numbers_and_other_text_stay(value: object, shown: object) -> None:
    assert cell(value) == shown


def test_a_formula_as_a_members_name_is_defused(organization: Any, alices: Browser) -> None:
    add_member(organization, user=get_or_create_user(email="=cmd@example.com"), role="viewer")
    assert ["'=cmd@example.com", "viewer"] in lines(alices.open("membership-list", export="csv"))


def test_the_backups_of_a_policy_are_exported_with_their_retention(
    cluster: Cluster, alices: Browser
) -> None:
    policy = create_policy(cluster, PolicySpec(schedule_cron="@daily", retention_count=1))
    seed_backup(cluster, "older", policy_id=policy.pk)
    seed_backup(cluster, "newer", policy_id=policy.pk)
    exported = lines(alices.open("policy-backups", policy.policy_id, sort="name", export="csv"))
    assert [(line[0], line[-1]) for line in exported] == [
        ("Name", "Retention"),
        ("newer", "Keep"),
        ("older", "Expire"),
    ]


def test_organizations_are_exported_with_the_role_in_each(alices: Browser) -> None:
    answer = alices.client.get("/organizations", {"export": "csv"})
    assert lines(answer) == [["Name", "Role", "Members"], ["acme", "owner", "1"]]


def test_collections_of_a_cluster_without_an_answer_are_exported_by_name(
    cluster: Cluster, alices: Browser
) -> None:
    KnownCollection.objects.create(
        organization=cluster.organization, cluster=cluster, db_name="default", name="=images"
    )
    exported = lines(alices.open("cluster-collections", cluster.pk, export="csv"))
    assert exported[1][:2] == ["default", "'=images"]
    assert len(exported[0]) == len(exported[1])


@pytest.mark.parametrize("order", ["name", "-name", "row_count", "-row_count", "-created_at"])
def test_every_row_is_exported_once_over_many_pages(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 2)
    for number in range(7):
        seed_backup(cluster, f"nightly-{number}", row_count=number % 2 if number % 3 else None)
    shown = alices.open("backup-list", sort=order).context["rows"]
    exported = lines(alices.open("backup-list", sort=order, export="csv"))[1:]
    assert [line[0] for line in exported] == [backup.name for backup in shown]


@pytest.mark.parametrize("direction", ["", "-"])
def test_collections_without_a_backup_stay_first_over_many_pages(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 2)
    for number in range(7):
        newest = seed_backup(cluster, f"nightly-{number}") if number % 2 else None
        KnownCollection.objects.create(
            organization=cluster.organization,
            cluster=cluster,
            db_name="default",
            name=f"c{number}",
            newest_backup=newest,
        )
    sort = f"{direction}newest_backup__created_at"
    shown = alices.open("protection", sort=sort).context["rows"]
    exported = lines(alices.open("protection", sort=sort, export="csv"))[1:]
    assert [line[2] for line in exported] == [collection.name for collection in shown]


def test_organizations_are_exported_in_pages_by_their_number_of_members(
    alices: Browser, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_export, "PAGE_ROWS", 1)
    create_organization(name="beta", owner=alice)
    exported = lines(alices.client.get("/organizations", {"export": "csv", "sort": "-members"}))
    assert sorted(line[0] for line in exported[1:]) == ["acme", "beta"]


def test_no_statement_is_open_while_the_client_reads(cluster: Cluster, alices: Browser) -> None:
    seed_backup(cluster, "nightly")
    seed_backup(cluster, "weekly")
    answer: Any = alices.open("backup-list", export="csv")
    read = iter(answer.streaming_content)
    assert [next(read)[:5], next(read)[:6]] == [b"Name,", b"weekly"]
    with CaptureQueriesContext(connection) as statements:
        list(read)
    assert not statements.captured_queries


def test_an_organization_has_two_exports_at_a_time(cluster: Cluster, alices: Browser) -> None:
    opened = [alices.open("backup-list", export="csv") for _ in range(2)]
    refused = alices.open("activity-list", export="csv")
    assert refused.status_code == 429
    assert b"Too many exports are in progress." in refused.content
    for answer in opened:
        answer.close()
    assert lines(alices.open("backup-list", export="csv"))


def test_one_process_has_four_exports_at_a_time(alices: Browser) -> None:
    exports = [Export(owner, iter(())) for owner in ("first", "second", "third", "fourth")]
    assert alices.open("backup-list", export="csv").status_code == 429
    exports[0].close()
    exports[0].close()
    lines(alices.open("backup-list", export="csv"))
    for export in exports:
        export.close()
    assert not csv_export.slots._taken


def test_collections_need_a_slot_too(cluster: Cluster, alices: Browser) -> None:
    opened = [alices.open("cluster-collections", cluster.pk, export="csv") for _ in range(2)]
    assert alices.open("cluster-collections", cluster.pk, export="csv").status_code == 429
    for answer in opened:
        answer.close()


def test_an_export_is_cut_after_its_time(
    alices: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(csv_export, "EXPORT_SECONDS", -1.0)
    answer = alices.open("backup-list", export="csv")
    with pytest.raises(csv_export.ExportTooSlow):
        lines(answer)
    assert "export cut" in caplog.text
    assert not csv_export.slots._taken


@pytest.mark.parametrize("address", ["/organizations", "/o/acme/backups"])
def test_no_export_is_cached(alices: Browser, address: str) -> None:
    answer = alices.client.get(address, {"export": "csv"})
    assert "no-store" in answer["Cache-Control"]
    lines(answer)
