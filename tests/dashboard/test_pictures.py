"""Pictures of the overview, from real rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from backups.models import StorageDay
from backups.policies.models import PolicyDay
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.reconcile import reconcile_all
from tests.protection.conftest import Cover, cover, know
from tests.web.conftest import Browser
from vbase_console.dashboard.pictures import MAX_SERIES, answer_of
from vbase_console.organizations.models import AuditEntry, Organization

__all__ = ["cover"]


@pytest.mark.parametrize(
    ("covered", "uncovered", "stale", "failing", "tone", "said"),
    [
        (0, 0, 0, 0, "still", "Nothing to protect yet"),
        (3, 0, 0, 0, "good", "All 3 collections are backed up on schedule"),
        (3, 0, 0, 1, "warn", "1 policy without a good latest run"),
        (3, 2, 0, 0, "bad", "2 collections in no active policy"),
        (3, 0, 1, 0, "bad", "1 collection with an overdue backup"),
    ],
)
def test_one_line_answers_whether_everything_is_protected(
    covered: int, uncovered: int, stale: int, failing: int, tone: str, said: str
) -> None:
    figures = {"covered": covered, "uncovered": uncovered, "stale": stale}
    answer = answer_of("acme", figures, [SimpleNamespace()] * failing)
    whole = answer.text + " ".join(text for text, _ in answer.reasons)
    assert (answer.tone, said in whole) == (tone, True)


def test_the_answer_leads_to_its_cause(cluster: Cluster, alices: Browser) -> None:
    know(cluster, "images")
    page = alices.open("overview").content.decode()
    assert "/o/acme/protection?state=uncovered" in page.partition('id="reason-1"')[2][:90]


def test_the_calendar_shows_the_worst_of_each_day(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    today = timezone.now().date()
    own = {"organization_id": policy.organization_id, "policy": policy}
    PolicyDay.objects.create(**own, day=today, good=3, failed=1)
    PolicyDay.objects.create(**own, day=today - timedelta(days=1), good=1)
    (row,) = alices.open("overview").context["calendar"]
    assert row.summary == "1 failed"
    assert "1 good, 1 failed, 28 none" in row.title


def test_a_day_of_the_calendar_leads_to_its_runs(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy, today = cover(), timezone.now().date()
    PolicyDay.objects.create(
        organization_id=policy.organization_id, policy=policy, day=today, good=1
    )
    content = alices.open("overview").content.decode()
    assert f"/policies/{policy.pk}/runs?day={today.isoformat()}" in content
    assert content.count("/runs?day=") == 1


def test_the_storage_of_small_clusters_is_one_sum(
    make_cluster: Callable[..., Cluster], organization: Organization, alices: Browser
) -> None:
    today = timezone.now().date()
    for number in range(1, MAX_SERIES + 3):
        StorageDay.objects.create(
            organization=organization,
            cluster=make_cluster(f"c{number}"),
            day=today,
            size_bytes=number,
        )
    context = alices.open("overview").context
    listed = [(row.name, row.size_bytes) for row in context["storage_rows"]]
    assert listed[0] == ("c7", 7)
    assert listed[-1] == ("Other clusters", 3)
    assert context["storage_total"] == 28


def test_the_pictures_of_others_are_not_shown(
    cluster: Cluster, organization: Organization, charlies: Browser
) -> None:
    StorageDay.objects.create(
        organization=organization, cluster=cluster, day=timezone.now().date(), size_bytes=1
    )
    charlies.organization = "other"
    context = charlies.open("overview").context
    assert (context["storage"], context["calendar"]) == (None, [])


def test_a_crash_and_its_recovery_are_on_the_overview_and_in_the_activity(
    cluster: Cluster, driver: MemoryDriver, alices: Browser, work: Callable[[], int]
) -> None:
    driver.crash(cluster.pk)
    reconcile_all()
    work()
    page = alices.open("overview").content.decode().partition('id="recoveries"')[2]
    assert "The Milvus process crashed." in page
    assert "Succeeded" in page
    entry = AuditEntry.objects.get(action="RestartCluster")
    assert (entry.principal, entry.object_id) == ("console", cluster.pk)
    assert b"RestartCluster" in alices.open("activity-list").content
