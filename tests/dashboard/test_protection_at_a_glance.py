"""Protection on the overview and on a cluster's page, alarms first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backups.policies import services
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.sweeps import sweep_retention
from clusters.models import Cluster
from tests.policies.conftest import end
from tests.protection.conftest import Cover, cover, know, taken
from tests.web.conftest import Browser
from vbase_console.tasks.models import Task

__all__ = ["cover"]
WAITS = b"has been pending since"
MakeCluster = Callable[..., Cluster]


def test_failing_policies_come_first_with_what_went_wrong(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    good, failing = cover(), cover()
    for policy, state in ((good, "SUCCEEDED"), (failing, "FAILED")):
        services.run_now(policy, by="alice")
        end(PolicyRun.objects.get(policy=policy), state=state)
    answer = alices.open("overview")
    assert [each.policy.pk for each in answer.context["failing"]] == [failing.pk]
    content = answer.content.decode()
    assert content.index(f"failing-{failing.pk}") < content.index("figure-covered")


def test_a_failing_policy_stays_in_the_list_while_its_next_run_goes_on(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    services.run_now(policy, by="alice")
    end(PolicyRun.objects.get(), state="FAILED")
    Task.objects.update(message="Nobody answered.")
    services.run_now(policy, by="alice")
    content = alices.open("overview").content.decode()
    assert f"failing-{policy.pk}" in content
    assert "Nobody answered." in content.partition("figure-covered")[0]


def test_late_policies_come_before_failing_ones(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    failing, late = cover(), cover()
    services.run_now(failing, by="alice")
    end(PolicyRun.objects.get(), state="FAILED")
    BackupPolicy.objects.filter(pk=late.pk).update(next_run_at=timezone.now() - timedelta(hours=1))
    listed = alices.open("overview").context["failing"]
    assert [each.policy.pk for each in listed] == [late.pk, failing.pk]


def test_retention_that_is_not_applied_is_said_after_five_minutes(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    services.run_now(policy, by="alice")
    end(PolicyRun.objects.get())
    pages = (("overview",), ("policy-detail", policy.pk))
    assert not any(WAITS in alices.open(*page).content for page in pages)
    Task.objects.update(finished_at=timezone.now() - timedelta(minutes=6))
    assert all(WAITS in alices.open(*page).content for page in pages)
    sweep_retention()
    assert not any(WAITS in alices.open(*page).content for page in pages)


def test_a_count_that_was_lowered_just_now_is_no_alarm(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    services.run_now(policy, by="alice")
    end(PolicyRun.objects.get())
    sweep_retention()
    Task.objects.update(finished_at=timezone.now() - timedelta(days=6))
    services.update_policy(policy, retention_count=1)
    assert WAITS not in alices.open("overview").content
    PolicyRun.objects.update(retention_requested_at=timezone.now() - timedelta(minutes=6))
    assert WAITS in alices.open("overview").content


def test_a_count_that_was_lowered_during_a_long_run_is_no_alarm_when_that_ends(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    services.run_now(policy, by="alice")
    services.update_policy(policy, retention_count=1)
    PolicyRun.objects.update(retention_requested_at=timezone.now() - timedelta(hours=1))
    end(PolicyRun.objects.get())
    assert WAITS not in alices.open("overview").content


def test_a_skipped_run_is_an_alarm_with_its_reason(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    policy = cover()
    run = PolicyRun.objects.create(
        organization_id=policy.organization_id,
        policy=policy,
        planned_at=timezone.now(),
        skip_reason="It must be RUNNING. Start it first.",
    )
    BackupPolicy.objects.update(last_run=run)
    assert b"It must be running" in alices.open("overview").content


def test_the_most_overdue_policy_and_how_late_it_is_are_said(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    late, later = cover(), cover()
    assert b"late: the scheduler has not started it" not in alices.open("overview").content
    for policy, hours in ((late, 1), (later, 2)):
        at = timezone.now() - timedelta(hours=hours, minutes=5)
        BackupPolicy.objects.filter(pk=policy.pk).update(next_run_at=at)
    content = alices.open("overview").content.decode()
    assert f"overdue-{later.pk}" in content
    assert ">2 h 5 min</span> late" in content


def test_health_and_overview_speak_of_the_same_policy(
    cluster: Cluster, cover: Cover, alices: Browser, client: Client
) -> None:
    since = (timezone.now() - timedelta(minutes=10)).replace(microsecond=0)
    BackupPolicy.objects.filter(pk=cover().pk).update(next_run_at=since)
    said = client.get("/v1/vbase/healthz").json()["components"]["oldestOverduePolicy"]
    overdue = alices.open("overview").context["overdue"]
    assert said == since.isoformat().replace("+00:00", "Z")
    assert overdue.next_run_at == since


def test_a_policy_that_is_only_just_due_is_no_alarm(
    cluster: Cluster, cover: Cover, alices: Browser, client: Client
) -> None:
    BackupPolicy.objects.filter(pk=cover().pk).update(next_run_at=timezone.now())
    assert alices.open("overview").context["overdue"] is None
    assert client.get("/v1/vbase/healthz").json()["components"]["oldestOverduePolicy"] is None


def test_the_policies_of_others_are_no_alarm_here(
    cluster: Cluster, cover: Cover, charlies: Browser
) -> None:
    BackupPolicy.objects.filter(pk=cover().pk).update(
        next_run_at=timezone.now() - timedelta(days=1)
    )
    charlies.organization = "other"
    context = charlies.open("overview").context
    assert (context["overdue"], context["next_runs"], context["failing"]) == (None, [], [])


def test_the_next_runs_are_listed_soonest_first(
    cluster: Cluster, cover: Cover, alices: Browser
) -> None:
    yearly, hourly = cover(schedule_cron="@yearly"), cover(schedule_cron="@hourly")
    services.pause_policy(cover())
    runs = alices.open("overview").context["next_runs"]
    assert [policy.pk for policy in runs] == [hourly.pk, yearly.pk]


def test_a_damaged_backup_is_not_the_newest_of_its_cluster(
    cluster: Cluster, alices: Browser
) -> None:
    taken(cluster, damage_found_by="job-1")
    assert alices.open("overview").context["covers"][0].newest is None


def test_without_policies_it_says_what_to_do(
    cluster: Cluster, alices: Browser, bobs: Browser
) -> None:
    assert b'id="create-policy"' in alices.open("overview").content
    content = bobs.open("overview").content
    assert b"No scheduled backups" in content
    assert b'id="create-policy"' not in content


@pytest.mark.parametrize(
    ("age", "said"),
    [(timedelta(), b"1 collection covered"), (timedelta(days=3), b"1 collection stale")],
)
def test_a_clusters_page_says_how_its_collections_are_protected(
    cluster: Cluster, cover: Cover, alices: Browser, age: timedelta, said: bytes
) -> None:
    know(cluster, "images")
    assert b"1 collection uncovered" in alices.open("cluster-detail", cluster.pk).content
    cover()
    taken(cluster, age)
    content = alices.open("cluster-detail", cluster.pk).content
    assert said in content
    assert b"uncovered" not in content
