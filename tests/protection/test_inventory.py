"""What clusters have, kept as rows: asked fairly, a few at once, and never waiting for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from backups.protection import discovery_scan, inventory
from backups.protection.inventory import note
from backups.protection.models import ClusterLook, KnownCollection
from backups.protection.sweeps import sweep_inventory
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from tests.protection.conftest import know
from vbase_console.core.errors import Unavailable

MakeCluster = Callable[..., Cluster]
Answers = dict[str, Any]
SILENT = Unavailable("The cluster did not answer: nobody listens there.")


def names() -> set[tuple[str, str]]:
    return set(KnownCollection.objects.values_list("db_name", "name"))


def due() -> None:
    ClusterLook.objects.update(next_at=timezone.now())


def test_a_sweep_learns_what_a_running_cluster_has(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": ["images"], "other": ["images", "texts"]}
    assert sweep_inventory() == 1
    assert names() == {("default", "images"), ("other", "images"), ("other", "texts")}


def test_what_is_gone_is_forgotten_and_what_stays_keeps_when_it_came(
    cluster: Cluster, answers: Answers
) -> None:
    know(cluster, "images", "texts")
    before = KnownCollection.objects.get(name="images")
    know(cluster, "images")
    after = KnownCollection.objects.get()
    assert (after.pk, after.first_seen_at) == (before.pk, before.first_seen_at)
    assert after.seen_at > before.seen_at


def test_a_database_that_is_gone_takes_its_collections_along(cluster: Cluster) -> None:
    know(cluster, "images", db_name="other")
    know(cluster, "texts")
    assert names() == {("default", "texts")}


def test_a_look_at_one_database_leaves_the_others_alone(cluster: Cluster) -> None:
    know(cluster, "images", db_name="other")
    note(cluster, {"default": ["texts"]}, whole=False)
    assert names() == {("other", "images"), ("default", "texts")}


def test_a_cluster_that_cannot_be_asked_keeps_what_was_known(
    cluster: Cluster, answers: Answers
) -> None:
    know(cluster, "images")
    seen_at = ClusterLook.objects.get().seen_at
    due()
    answers[cluster.pk] = SILENT
    sweep_inventory()
    look = ClusterLook.objects.get()
    assert (names(), look.seen_at) == ({("default", "images")}, seen_at)
    assert "nobody listens" in look.problem


def test_a_silent_cluster_is_asked_less_and_less_often(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = SILENT
    for _ in range(12):
        sweep_inventory()
        due()
    sweep_inventory()
    pause = ClusterLook.objects.get().next_at - timezone.now()
    assert inventory.LOOK_EVERY < pause <= inventory.LONGEST_PAUSE


def test_an_answer_ends_the_problem(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = SILENT
    sweep_inventory()
    due()
    answers[cluster.pk] = {"default": []}
    sweep_inventory()
    look = ClusterLook.objects.get()
    assert (look.problem, look.failures) == ("", 0)


def test_a_silent_cluster_is_in_nobodys_way(make_cluster: MakeCluster, answers: Answers) -> None:
    for number in range(2 * discovery_scan.AT_ONCE):
        answers[make_cluster(f"silent{number}").pk] = SILENT
    answers[make_cluster("last").pk] = {"default": ["images"]}
    assert sweep_inventory() == 2 * discovery_scan.AT_ONCE + 1
    assert names() == {("default", "images")}


def test_a_fault_of_our_own_at_one_cluster_stops_no_other(
    make_cluster: MakeCluster, answers: Answers, caplog: Any
) -> None:
    answers[make_cluster("odd").pk] = RuntimeError("a bug")
    answers[make_cluster("well").pk] = {"default": ["images"]}
    sweep_inventory()
    assert names() == {("default", "images")}
    assert "could not be looked at" in caplog.text


def test_who_waits_longest_is_asked_first(
    make_cluster: MakeCluster, answers: Answers, monkeypatch: Any
) -> None:
    clusters = [make_cluster(name) for name in ("new", "waits", "waits-longer")]
    for age, cluster in enumerate(clusters):
        answers[cluster.pk] = {"default": []}
        if age:
            at = timezone.now() - timedelta(hours=age)
            own = {"organization_id": cluster.organization_id, "next_at": at}
            ClusterLook.objects.create(cluster=cluster, **own)
    monkeypatch.setattr(discovery_scan, "EACH_ROUND", 2)
    sweep_inventory()
    unseen = ClusterLook.objects.get(seen_at=None)
    assert unseen.cluster == clusters[1]


def test_nobody_is_asked_before_the_next_turn(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": []}
    assert [sweep_inventory(), sweep_inventory()] == [1, 0]


def test_two_sweeps_share_the_clusters(cluster: Cluster) -> None:
    now = timezone.now()
    assert [discovery_scan._claimed(cluster, now), discovery_scan._claimed(cluster, now)] == [
        True,
        False,
    ]


def test_a_claim_that_nobody_kept_is_free_again(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": ["images"]}
    discovery_scan._claimed(cluster, timezone.now())
    assert sweep_inventory() == 0
    due()
    assert sweep_inventory() == 1


def test_only_what_runs_is_asked(make_cluster: MakeCluster, answers: Answers) -> None:
    for name, change in (
        ("stopped", {"condition": Condition.STOPPED, "wanted_running": False}),
        ("broken", {"condition": Condition.BROKEN}),
        ("going", {"status": ServiceStatus.DELETING}),
    ):
        Cluster.objects.filter(pk=make_cluster(name).pk).update(**change)
    make_cluster("coming", running=False)
    assert sweep_inventory() == 0


def test_what_a_deleted_cluster_had_is_forgotten(cluster: Cluster) -> None:
    know(cluster, "images")
    Cluster.objects.update(status=ServiceStatus.DELETED)
    sweep_inventory()
    assert not KnownCollection.objects.exists()
    assert not ClusterLook.objects.exists()


def test_an_answer_that_comes_after_the_deletion_is_dropped(cluster: Cluster) -> None:
    Cluster.objects.update(status=ServiceStatus.DELETING)
    know(cluster, "images")
    assert not KnownCollection.objects.exists()


def test_of_very_many_collections_some_are_kept_and_the_rest_is_counted(
    cluster: Cluster, monkeypatch: Any
) -> None:
    monkeypatch.setattr(inventory, "MOST_KEPT", 100)
    know(cluster, *(f"c{number:04}" for number in range(250)))
    assert KnownCollection.objects.count() == 100
    assert ClusterLook.objects.get().unlisted == 150


def test_a_second_thread_leaves_the_round_to_the_first(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": ["images"]}
    with discovery_scan._scanning:
        assert sweep_inventory() == 0
    assert sweep_inventory() == 1


def test_a_scan_is_not_put_off_by_a_clock_that_was_set_back(
    cluster: Cluster, answers: Answers
) -> None:
    answers[cluster.pk] = {"default": ["images"]}
    sweep_inventory()
    ClusterLook.objects.update(next_at=timezone.now() + timedelta(hours=1))
    assert sweep_inventory() == 1
