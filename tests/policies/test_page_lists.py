"""Lists of policies: what asks for a look first, and the same cost however many there are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup
from backups.policies import kept_figures
from backups.policies.models import BackupPolicy
from backups.policies.services import pause_policy, run_now
from clusters.models import Cluster
from tests.policies.conftest import MakePolicy, end
from tests.policies.pages import back_up, newest_run, skip, skip_often
from tests.web.conftest import Browser, alices, bobs, browser_of, charlies
from vbase_console.core.ids import new_id

__all__ = ["alices", "bobs", "browser_of", "charlies"]
LONG = timedelta(minutes=2)
LATE = b'badge-bad">Late'
CELL = re.compile(r'class="run run-(\w+)"')


def listed(browser: Browser, **query: object) -> list[str]:
    content = browser.open("policy-list", **query).content.decode()
    return re.findall(r'id="row-(pol-\w+)"', content)


def test_a_policy_is_listed_in_words_with_target_and_next_run(
    make_policy: MakePolicy, alices: Browser
) -> None:
    policy = make_policy(timezone="Asia/Kolkata", collection_names=["a", "b", "c", "d"])
    content = alices.open("policy-list").content.decode()
    for text in ("At 03:00 every day", "Asia/Kolkata", "a, b, c", "and 1 more", "No run yet"):
        assert text in content
    assert f"{policy.next_run_at:%Y-%m-%d %H:%M:%S} UTC" in content


def test_the_time_of_the_last_run_is_not_taken_for_that_of_the_pause(
    policy: BackupPolicy, alices: Browser
) -> None:
    back_up(policy)
    pause_policy(policy)
    assert 'Paused</span> <span class="muted">last run ' in (
        alices.open("policy-list").content.decode()
    )


def test_a_job_names_its_policy_in_the_same_words(policy: BackupPolicy, alices: Browser) -> None:
    back_up(policy)
    job = newest_run(policy).job
    assert job is not None
    content = alices.open("job-detail", job.task.task_id).content.decode()
    assert "At 03:00 every day</a>" in content


def test_what_asks_for_a_look_comes_first(make_policy: MakePolicy, alices: Browser) -> None:
    good, failing, paused, skipped, partial, late = (make_policy() for _ in range(6))
    BackupPolicy.objects.filter(pk=late.pk).update(next_run_at=timezone.now() - LONG)
    back_up(good)
    back_up(failing, state="FAILED")
    back_up(partial, omissions=["Collection a was not there."])
    skip(skipped)
    pause_policy(paused)
    expected = [late, failing, partial, skipped, good, paused]
    assert listed(alices) == [policy.pk for policy in expected]


def test_a_failing_one_says_why_and_leads_to_its_job(policy: BackupPolicy, alices: Browser) -> None:
    back_up(policy, state="FAILED")
    task = newest_run(policy).job.task  # type: ignore[union-attr]
    type(task).objects.filter(pk=task.pk).update(message="Collection a is not there.")
    content = alices.open("policy-list").content.decode()
    assert "Collection a is not there." in content
    assert alices.address("job-detail", task.task_id) in content


def test_a_run_in_the_strip_is_told_by_text_and_shape_and_leads_to_its_job(
    policy: BackupPolicy, alices: Browser
) -> None:
    back_up(policy)
    back_up(policy, state="FAILED")
    content = alices.open("policy-list").content.decode()
    assert CELL.findall(content) == ["good", "bad"]
    assert re.search(r'visually-hidden">Failed, [\d-]+ [\d:]+ UTC, manual', content)
    assert content.count(f'href="{alices.address("job-detail", "job")[:-1]}') >= 2


def test_a_skipped_run_says_why_in_the_strip(policy: BackupPolicy, alices: Browser) -> None:
    run = skip(policy, "It was stopped.")
    content = alices.open("policy-list").content.decode()
    assert CELL.findall(content) == ["skipped"]
    assert "UTC: It was stopped.</span>" in content
    assert f"#run-{run.pk}" in content


def test_the_strip_shows_the_newest_thirty_oldest_first(
    policy: BackupPolicy, alices: Browser
) -> None:
    skip_often(policy, 33)
    content = alices.open("policy-list").content.decode()
    assert len(CELL.findall(content)) == 30
    assert content.index("Reason 29.") < content.index("UTC: Reason 0.")
    assert "Reason 30." not in content


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"standing": "FAILING"}, []),
        ({"standing": "PAUSED"}, ["paused"]),
        ({"q": "vect"}, ["one", "paused"]),
        ({"q": "@hourly"}, ["one"]),
        ({"q": "nothing"}, []),
        ({"collection": "imag"}, ["one"]),
        ({"collection": "films"}, ["paused"]),
        ({"standing": "NONSENSE"}, ["one", "paused"]),
    ],
)
def test_it_filters_and_searches(
    make_policy: MakePolicy, alices: Browser, query: dict[str, str], found: list[str]
) -> None:
    one = make_policy(schedule_cron="@hourly", collection_names=["images"])
    paused = pause_policy(make_policy(db_name="films"))
    keys = {"one": one.pk, "paused": paused.pk}
    assert listed(alices, **query) == [keys[name] for name in found]


def test_it_sorts_by_the_next_run_with_paused_ones_last(
    make_policy: MakePolicy, alices: Browser
) -> None:
    paused = pause_policy(make_policy())
    later, sooner = make_policy(schedule_cron="@yearly"), make_policy(schedule_cron="* * * * *")
    assert listed(alices, sort="next_run_at") == [sooner.pk, later.pk, paused.pk]
    assert listed(alices, sort="-next_run_at") == [later.pk, sooner.pk, paused.pk]


def test_good_backups_count_and_incomplete_ones_do_not(
    policy: BackupPolicy, alices: Browser
) -> None:
    back_up(policy)
    back_up(policy, omissions=["Collection a was not there."])
    content = alices.open("policy-list").content.decode()
    assert '<span class="number">1</span> good backup,' in content


def test_one_older_than_the_schedule_promises_is_stale(
    policy: BackupPolicy, alices: Browser
) -> None:
    backup = back_up(policy)
    assert b"Stale" not in alices.open("policy-list").content
    Backup.objects.filter(pk=backup.pk).update(created_at=timezone.now() - timedelta(days=2))
    kept_figures.recount(policy.pk)
    assert b"Stale" in alices.open("policy-list").content
    pause_policy(policy)
    assert b"Stale" not in alices.open("policy-list").content


def test_a_run_that_nobody_begins_is_late(policy: BackupPolicy, alices: Browser) -> None:
    assert LATE not in alices.open("policy-list").content
    BackupPolicy.objects.update(next_run_at=timezone.now() - LONG)
    assert LATE in alices.open("policy-list").content
    assert b"the scheduler has not started it" in alices.open("policy-detail", policy.pk).content


def test_a_schedule_that_nobody_understands_any_more_breaks_no_page(
    policy: BackupPolicy, alices: Browser
) -> None:
    BackupPolicy.objects.update(schedule_cron="whatever", timezone="Mars/Base")
    assert b"whatever" in alices.open("policy-list").content
    assert alices.open("policy-detail", policy.pk).status_code == 200


def test_a_policy_that_cannot_be_read_says_so_wherever_it_is_late(
    policy: BackupPolicy, alices: Browser
) -> None:
    late = timezone.now() - LONG
    BackupPolicy.objects.update(timezone="Mars/Base", next_run_at=late)
    assert listed(alices, standing="LATE") == [policy.pk]
    for name, *keys in (("policy-list",), ("policy-detail", policy.pk), ("overview",)):
        assert b"is no time zone" in alices.open(name, *keys).content


@pytest.mark.parametrize("result", ["FAILING", "INCOMPLETE", "SKIPPED", "CANCELLED"])
def test_what_went_wrong_stays_so_while_the_next_run_goes_on(
    policy: BackupPolicy, alices: Browser, result: str
) -> None:
    go_wrong(policy, result)
    assert listed(alices, standing=result) == [policy.pk]
    run_now(policy, by="alice")
    assert listed(alices, standing=result) == [policy.pk]
    content = alices.open("policy-list").content
    assert b'badge-busy">Running' in content
    end(newest_run(policy))
    assert listed(alices, standing="GOOD") == [policy.pk]


def go_wrong(policy: BackupPolicy, result: str) -> None:
    if result == "SKIPPED":
        skip(policy)
    elif result == "INCOMPLETE":
        back_up(policy, omissions=["Collection a was not there."])
    else:
        back_up(policy, state="FAILED" if result == "FAILING" else "CANCELLED")


def test_a_good_one_is_running_while_it_runs(policy: BackupPolicy, alices: Browser) -> None:
    back_up(policy)
    run_now(policy, by="alice")
    assert listed(alices, standing="RUNNING") == [policy.pk]


def test_a_cluster_has_a_list_of_its_own(
    policy: BackupPolicy, make_cluster: object, make_policy: MakePolicy, alices: Browser
) -> None:
    other: Cluster = make_cluster("other")  # type: ignore[operator]
    make_policy(cluster=other)
    content = alices.open("cluster-policy-list", policy.cluster_id).content.decode()
    assert re.findall(r'id="row-(pol-\w+)"', content) == [policy.pk]
    assert alices.address("policy-create", policy.cluster_id) in content


def test_a_clusters_page_leads_to_its_policies(policy: BackupPolicy, alices: Browser) -> None:
    content = alices.open("cluster-detail", policy.cluster_id).content.decode()
    assert f'href="{alices.address("cluster-policy-list", policy.cluster_id)}">1 policy<' in content


def test_an_unprotected_cluster_leads_to_its_first_policy(
    cluster: Cluster, alices: Browser, bobs: Browser
) -> None:
    address = alices.address("policy-create", cluster.pk).encode()
    assert address in alices.open("cluster-detail", cluster.pk).content
    assert address not in bobs.open("cluster-detail", cluster.pk).content


def test_without_policies_it_says_what_to_do_next(
    cluster: Cluster, alices: Browser, bobs: Browser
) -> None:
    assert b"No policies yet" in alices.open("policy-list").content
    assert alices.address("policy-new").encode() in alices.open("policy-list").content
    assert alices.address("policy-new").encode() not in bobs.open("policy-list").content
    choose = alices.open("policy-new").content
    assert alices.address("policy-create", cluster.pk).encode() in choose


def test_a_stranger_sees_none(policy: BackupPolicy, charlies: Browser) -> None:
    charlies.organization = "other"
    assert listed(charlies) == []
    assert charlies.open("cluster-policy-list", policy.cluster_id).status_code == 404


def test_it_refreshes_itself_only_while_a_run_goes_on(
    policy: BackupPolicy, alices: Browser
) -> None:
    run_now(policy, by="alice")
    assert b' data-busy=""' in alices.open("policy-list").content
    assert alices.open("policy-list", htmx=True).content.lstrip().startswith(b'<div id="list"')
    BackupPolicy.objects.update(last_run=None)
    assert b' data-busy=""' not in alices.open("policy-list").content


def fill(cluster: Cluster, count: int) -> None:
    """Policies, each with a run of its own and a backup."""
    policies = BackupPolicy.objects.bulk_create(
        BackupPolicy(
            organization_id=cluster.organization_id,
            cluster=cluster,
            name=new_id("daily"),
            schedule_cron="0 3 * * *",
            retention_count=7,
            next_run_at=timezone.now(),
        )
        for _ in range(count)
    )
    for policy in policies[:60]:
        skip(policy)


def queries(browser: Browser, name: str, *keys: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert browser.open(name, *keys).status_code == 200
    return len(captured)


def test_a_list_costs_the_same_at_ten_and_at_a_thousand_policies(
    cluster: Cluster, alices: Browser
) -> None:
    fill(cluster, 10)
    queries(alices, "policy-list")
    few = queries(alices, "policy-list")
    fill(cluster, 1_000)
    assert queries(alices, "policy-list") == few
    assert queries(alices, "cluster-policy-list", cluster.pk) <= few + 1
    assert few <= 12


def test_a_long_list_is_paged(cluster: Cluster, alices: Browser) -> None:
    fill(cluster, 60)
    first, second = listed(alices), listed(alices, page=2)
    assert (len(first), len(second)) == (50, 10)
    assert not set(first) & set(second)
