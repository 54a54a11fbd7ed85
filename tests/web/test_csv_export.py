"""Lists as CSV: all filtered rows, in the order of the list, and no formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from backups.protection.models import KnownCollection
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.policies.pages import skip
from tests.web.conftest import Browser
from vbase_console.organizations.services import add_member, get_or_create_user
from vbase_console.web.csv_export import cell

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


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1"])
def test_a_formula_is_text(text: str) -> None:
    assert cell(text) == f"'{text}"


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
