"""Observed against wanted: what the sweep says, what it heals, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from clusters import reconcile, services
from clusters.drivers.base import DriverError, Observation, Presence
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster
from clusters.sweeps import sweep_clusters
from tests.tasks.trials import begun, history
from vbase_console.core.errors import FailedPrecondition
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.models import Task
from vbase_console.tasks.services import enqueue

MakeCluster = Callable[..., Cluster]
Work = Callable[[], int]
Age = Callable[[timedelta], None]


def now(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def healing() -> Task | None:
    return Task.objects.filter(requested_by=reconcile.CONSOLE).first()


def unseen_for(cluster: Cluster, duration: timedelta) -> None:
    Cluster.objects.filter(pk=cluster.pk).update(seen_at=F("seen_at") - duration)


def waits_for(cluster: Cluster) -> Task:
    """A task of another app that waits for the cluster."""
    return enqueue(
        organization_id=cluster.organization_id,
        kind="RESTORE",
        subject_id=cluster.cluster_id,
        lock=cluster.lock,
        requested_by="alice",
    )


def observe_as(monkeypatch: pytest.MonkeyPatch, driver: MemoryDriver, presence: Presence) -> None:
    monkeypatch.setattr(
        driver, "observe", lambda ids: {each: Observation(presence=presence) for each in ids}
    )


def test_it_leaves_a_cluster_that_is_as_it_should_be(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    assert sweep_clusters() == 0
    assert (healing(), now(cluster).status) == (None, "RUNNING")


def test_it_restarts_a_crashed_cluster_and_says_why(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.crash(cluster.pk)
    assert sweep_clusters() == 1
    task = healing()
    assert task is not None
    assert (task.kind, now(cluster).status) == ("RESTART", "UPDATING")
    assert "process crashed" in history(task)[0]
    assert "process crashed" in now(cluster).status_message
    work()
    assert (now(cluster).status, now(cluster).status_message) == ("RUNNING", "")


def test_it_starts_what_stood_still_while_the_console_did(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver._change(cluster.pk, presence=Presence.STOPPED)
    sweep_clusters()
    task = healing()
    assert task is not None
    assert (task.kind, task.arguments["reason"]) == (
        "START",
        "Stopped while the console was down.",
    )
    work()
    assert now(cluster).status == "RUNNING"


def test_it_leaves_a_cluster_stopped_that_somebody_stopped(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    assert (sweep_clusters(), healing()) == (0, None)
    assert now(cluster).status == "STOPPED"


def test_it_stops_what_runs_and_should_not(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    driver._change(cluster.pk, presence=Presence.RUNNING)
    sweep_clusters()
    work()
    assert driver.observe([cluster.pk])[cluster.pk].presence is Presence.STOPPED


def test_it_says_that_data_is_missing_and_makes_no_empty_cluster(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    with driver._store.opened() as clusters:
        clusters.clear()
    sweep_clusters()
    assert (healing(), now(cluster).status) == (None, "ERROR")
    assert "data is missing" in now(cluster).status_message


@pytest.mark.parametrize("ask", [services.restart_cluster, services.stop_cluster])
def test_nobody_makes_an_empty_cluster_where_data_is_missing(
    make_cluster: MakeCluster,
    driver: MemoryDriver,
    work: Work,
    ask: Callable[..., Task],
) -> None:
    cluster = make_cluster()
    with driver._store.opened() as clusters:
        clusters.clear()
    task = ask(cluster, by="alice")
    Task.objects.filter(pk=task.pk).update(epoch=4)
    work()
    task.refresh_from_db()
    assert (task.state, driver.cluster_ids()) == ("FAILED", [])
    assert "is missing" in task.message


def test_data_that_comes_back_is_started_again(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    with driver._store.opened() as clusters:
        kept = dict(clusters)
        clusters.clear()
    sweep_clusters()
    with driver._store.opened() as clusters:
        clusters.update(kept)
    driver.crash(cluster.pk)
    sweep_clusters()
    work()
    assert now(cluster).status == "RUNNING"


def test_it_heals_nothing_that_somebody_works_on(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    driver.crash(cluster.pk)
    assert (sweep_clusters(), healing()) == (0, None)


def test_healing_goes_before_what_other_apps_left_waiting(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    waits_for(cluster)
    driver.crash(cluster.pk)
    sweep_clusters()
    assert Task.objects.next_for(cluster.lock).first() == healing()


def test_a_deletion_goes_before_a_healing_that_waits_again(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    driver.crash(cluster.pk)
    sweep_clusters()
    task = healing()
    assert task is not None
    attempt = begun(task)
    attempt.begin_undoing("It was given up.")
    deletion, _ = services.delete_cluster(cluster, by="alice")
    attempt.retry_later("Passing.")
    assert list(Task.objects.next_for(cluster.lock)) == [deletion, task]


def test_it_acts_on_nothing_that_has_changed_since_it_looked(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart begins and ends between the look and the deed."""
    cluster = make_cluster()
    observe = driver.observe

    def look_long(ids: list[str]) -> dict[str, Observation]:
        driver.crash(cluster.pk)
        seen = observe(ids)
        monkeypatch.setattr(driver, "observe", observe)
        services.restart_cluster(cluster, by="alice")
        work()
        return seen

    monkeypatch.setattr(driver, "observe", look_long)
    assert (sweep_clusters(), healing()) == (0, None)
    assert now(cluster).status == "RUNNING"


def test_a_cluster_that_crashes_at_every_start_gets_longer_and_longer_pauses(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    for _ in range(3):
        Task.objects.update(finished_at=F("finished_at") - timedelta(seconds=60))
        driver.crash(cluster.pk)
        sweep_clusters()
        work()
    driver.crash(cluster.pk)
    assert 6 < reconcile._healing_backoff(now(cluster)) <= 8
    sweep_clusters()
    assert Task.objects.active().count() == 0
    assert now(cluster).status == "ERROR"
    assert "Next restart in less than 1 min" in now(cluster).status_message


def test_the_pauses_are_bounded_and_end(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.crash(cluster.pk)
    sweep_clusters()
    work()
    row = Task.objects.get(requested_by=reconcile.CONSOLE)
    for number in range(20):
        row.pk, row.task_id = None, f"task-{number}"
        row.save(force_insert=True)
    assert 250 < reconcile._healing_backoff(now(cluster)) <= reconcile.MAX_HEALING_BACKOFF_SECONDS
    Task.objects.update(finished_at=F("finished_at") - reconcile.CRASH_WINDOW)
    assert reconcile._healing_backoff(now(cluster)) == 0


def test_nobody_waits_for_a_pause(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.crash(cluster.pk)
    sweep_clusters()
    work()
    driver.crash(cluster.pk)
    sweep_clusters()
    services.restart_cluster(cluster, by="alice")
    work()
    assert now(cluster).status == "RUNNING"


def test_a_process_that_does_not_answer_is_first_given_time(
    make_cluster: MakeCluster, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    observe_as(monkeypatch, driver, Presence.STARTING)
    assert (sweep_clusters(), now(cluster).status) == (0, "RUNNING")
    unseen_for(cluster, reconcile.UNRESPONSIVE_GRACE)
    assert (sweep_clusters(), now(cluster).status, healing()) == (1, "ERROR", None)
    unseen_for(cluster, reconcile.RESTART_AFTER)
    sweep_clusters()
    task = healing()
    assert task is not None
    reason = "The Milvus process does not answer."
    assert (task.kind, task.arguments["reason"]) == ("RESTART", reason)


def test_a_process_that_is_silent_for_four_minutes_is_not_restarted_yet(
    make_cluster: MakeCluster, driver: MemoryDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster()
    sweep_clusters()
    observe_as(monkeypatch, driver, Presence.STARTING)
    unseen_for(cluster, timedelta(minutes=4))
    sweep_clusters()
    assert (now(cluster).status, healing()) == ("ERROR", None)


def test_it_says_when_it_could_not_look_for_a_while_and_when_it_can_again(
    make_cluster: MakeCluster, driver: MemoryDriver
) -> None:
    cluster = make_cluster()
    driver.fail_next("observe", DriverError("the machine does not answer"))
    assert (sweep_clusters(), now(cluster).status) == (0, "RUNNING")
    unseen_for(cluster, reconcile.UNKNOWN_AFTER)
    driver.fail_next("observe", DriverError("the machine does not answer"))
    assert (sweep_clusters(), now(cluster).status) == (1, "UNKNOWN")
    assert "the machine does not answer" in now(cluster).status_message
    sweep_clusters()
    assert (now(cluster).status, now(cluster).status_message) == ("RUNNING", "")


def test_a_change_that_failed_is_still_told_after_it_was_unseen(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.fail_next("scale", DriverError("no room", permanent=True))
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    work()
    said = now(cluster).status_message
    unseen_for(cluster, reconcile.UNKNOWN_AFTER)
    driver.fail_next("observe")
    sweep_clusters()
    sweep_clusters()
    assert (now(cluster).status, now(cluster).status_message) == ("UPDATE_FAILED", said)
    assert "no room" in said


def test_what_a_failed_deletion_left_is_neither_started_nor_stopped(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.fail_next("delete", DriverError("the disk is gone", permanent=True))
    services.delete_cluster(cluster, by="alice")
    work()
    driver.crash(cluster.pk)
    sweep_clusters()
    assert (healing(), now(cluster).status) == (None, "ERROR")
    assert "DELETION failed" in now(cluster).status_message
    services.restart_cluster(cluster, by="alice")
    work()
    assert now(cluster).status == "RUNNING"


def test_a_cluster_under_way_or_never_made_is_not_looked_at(
    make_cluster: MakeCluster, work: Work
) -> None:
    cluster = make_cluster(running=False)
    assert (sweep_clusters(), healing(), now(cluster).status) == (0, None, "CREATING")


def test_a_sweep_over_many_good_clusters_is_a_constant_number_of_queries(
    make_cluster: MakeCluster, principal: Principal
) -> None:
    counts = []
    for number in range(2):
        for each in range(1 if number == 0 else 8):
            make_cluster(f"cluster {number} {each}")
        sweep_clusters()  # begins the day of the new ones
        with CaptureQueriesContext(connection) as queries:
            sweep_clusters()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_two_sweeps_at_once_heal_once(make_cluster: MakeCluster, driver: MemoryDriver) -> None:
    from tests.tasks.together import together

    driver.crash(make_cluster().pk)
    together(4, lambda number: sweep_clusters())
    assert Task.objects.filter(requested_by=reconcile.CONSOLE).count() == 1


def test_what_belongs_to_nobody_is_said_once_and_left_alone(
    make_cluster: MakeCluster, driver: MemoryDriver, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = make_cluster()
    with driver._store.opened() as clusters:
        clusters["vc-stranger"] = clusters[cluster.pk]
    sweep_clusters()
    sweep_clusters()
    assert len([text for text in caplog.messages if "vc-stranger" in text]) == 1
    assert "vc-stranger" in driver.cluster_ids()


def test_a_restart_that_failed_shows_at_once_that_it_does_not_answer(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.fail_next("restart", DriverError("no memory", permanent=True))
    services.restart_cluster(cluster, by="alice")
    work()
    assert now(cluster).status == "STOPPED"
    assert "RESTART failed" in now(cluster).status_message


def test_a_change_that_failed_on_a_cluster_that_answers_is_an_update_that_failed(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    driver.fail_next("scale", DriverError("no room", permanent=True))
    services.scale_cluster(cluster, changes={"compute_units": 2}, by="alice")
    work()
    assert (now(cluster).status, now(cluster).compute_units) == ("UPDATE_FAILED", 1)
    services.restart_cluster(cluster, by="alice")
    work()
    assert (now(cluster).status, now(cluster).status_message) == ("RUNNING", "")


def test_a_failed_start_leaves_it_stopped_and_says_why(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work
) -> None:
    cluster = make_cluster()
    services.stop_cluster(cluster, by="alice")
    work()
    driver.fail_next("start", DriverError("no memory", permanent=True))
    services.start_cluster(cluster, by="alice")
    work()
    assert now(cluster).status == "STOPPED"
    assert "START failed" in now(cluster).status_message


def test_a_deployed_cluster_that_is_gone_at_the_end_of_its_job_is_tried_again(
    make_cluster: MakeCluster, driver: MemoryDriver, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cluster(running=False)
    observe_as(monkeypatch, driver, Presence.CRASHED)
    work()
    task = Task.objects.get()
    assert (task.state, "exited right after startup" in task.message) == ("PENDING", True)
    assert claim(task.task_id, worker="w") is None


def test_a_cluster_that_was_deleted_is_not_asked_for(make_cluster: MakeCluster, work: Work) -> None:
    cluster = make_cluster()
    services.delete_cluster(cluster, by="alice")
    work()
    assert sweep_clusters() == 0
    with pytest.raises(FailedPrecondition):
        services.start_cluster(cluster, by="alice")
