"""Inventory of clusters as rows: scanned fairly, a few at once, never waiting for one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from backups.protection import discovery_scan, inventory
from backups.protection.inventory import record_scan
from backups.protection.models import InventoryScan, KnownCollection
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
    InventoryScan.objects.update(next_scan_at=timezone.now())


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
    record_scan(cluster, {"default": ["texts"]}, is_complete=False)
    assert names() == {("other", "images"), ("default", "texts")}


def test_a_cluster_that_cannot_be_asked_keeps_what_was_known(
    cluster: Cluster, answers: Answers
) -> None:
    know(cluster, "images")
    seen_at = InventoryScan.objects.get().scanned_at
    due()
    answers[cluster.pk] = SILENT
    sweep_inventory()
    look = InventoryScan.objects.get()
    assert (names(), look.scanned_at) == ({("default", "images")}, seen_at)
    assert "nobody listens" in look.error_message


def test_a_silent_cluster_is_asked_less_and_less_often(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = SILENT
    for _ in range(12):
        sweep_inventory()
        due()
    sweep_inventory()
    pause = InventoryScan.objects.get().next_scan_at - timezone.now()
    assert inventory.SCAN_INTERVAL < pause <= inventory.MAX_SCAN_BACKOFF


def test_an_answer_ends_the_problem(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = SILENT
    sweep_inventory()
    due()
    answers[cluster.pk] = {"default": []}
    sweep_inventory()
    look = InventoryScan.objects.get()
    assert (look.error_message, look.failures) == ("", 0)


def test_a_silent_cluster_is_in_nobodys_way(make_cluster: MakeCluster, answers: Answers) -> None:
    for number in range(2 * discovery_scan.PARALLEL_SCANS):
        answers[make_cluster(f"silent{number}").pk] = SILENT
    answers[make_cluster("last").pk] = {"default": ["images"]}
    assert sweep_inventory() == 2 * discovery_scan.PARALLEL_SCANS + 1
    assert names() == {("default", "images")}


def test_a_fault_of_our_own_at_one_cluster_stops_no_other(
    make_cluster: MakeCluster, answers: Answers, caplog: Any
) -> None:
    answers[make_cluster("odd").pk] = RuntimeError("a bug")
    answers[make_cluster("well").pk] = {"default": ["images"]}
    sweep_inventory()
    assert names() == {("default", "images")}
    assert "inventory scan failed" in caplog.text


def test_who_waits_longest_is_asked_first(
    make_cluster: MakeCluster, answers: Answers, monkeypatch: Any
) -> None:
    clusters = [make_cluster(name) for name in ("new", "waits", "waits-longer")]
    for age, cluster in enumerate(clusters):
        answers[cluster.pk] = {"default": []}
        if age:
            at = timezone.now() - timedelta(hours=age)
            own = {"organization_id": cluster.organization_id, "next_scan_at": at}
            InventoryScan.objects.create(cluster=cluster, **own)
    monkeypatch.setattr(discovery_scan, "CLUSTERS_PER_ROUND", 2)
    sweep_inventory()
    unseen = InventoryScan.objects.get(scanned_at=None)
    assert unseen.cluster == clusters[1]


def test_nobody_is_asked_before_the_next_turn(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": []}
    assert [sweep_inventory(), sweep_inventory()] == [1, 0]


def test_two_sweeps_share_the_clusters(cluster: Cluster) -> None:
    now = timezone.now()
    assert [discovery_scan._claim(cluster, now), discovery_scan._claim(cluster, now)] == [
        True,
        False,
    ]


def test_a_claim_that_nobody_kept_is_free_again(cluster: Cluster, answers: Answers) -> None:
    answers[cluster.pk] = {"default": ["images"]}
    discovery_scan._claim(cluster, timezone.now())
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
    assert not InventoryScan.objects.exists()


def test_an_answer_that_comes_after_the_deletion_is_dropped(cluster: Cluster) -> None:
    Cluster.objects.update(status=ServiceStatus.DELETING)
    know(cluster, "images")
    assert not KnownCollection.objects.exists()


def test_of_very_many_collections_some_are_kept_and_the_rest_is_counted(
    cluster: Cluster, monkeypatch: Any
) -> None:
    monkeypatch.setattr(inventory, "MAX_COLLECTIONS_PER_CLUSTER", 100)
    know(cluster, *(f"c{number:04}" for number in range(250)))
    assert KnownCollection.objects.count() == 100
    assert InventoryScan.objects.get().omitted_count == 150


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
    InventoryScan.objects.update(next_scan_at=timezone.now() + timedelta(hours=1))
    assert sweep_inventory() == 1
