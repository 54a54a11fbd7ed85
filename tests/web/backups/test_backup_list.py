from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Backup
from backups.states import BackupStatus, JobKind
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

MakeCluster = Callable[..., Cluster]
POLLS = b' data-busy=""'


def names(answer: Any) -> list[str]:
    return [row.backup.name for row in answer.context["backups"]]


def test_it_lists_the_newest_first(cluster: Cluster, alices: Browser) -> None:
    for name in ("first", "second"):
        seed_backup(cluster, name)
    assert names(alices.open("backup-list")) == ["second", "first"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "NIGHT"}, ["nightly"]),
        ({"status": "CREATING"}, ["coming"]),
        ({"db_name": "films"}, ["films"]),
        ({"db_name": "film"}, []),
        ({"cluster": "vector"}, ["films", "coming", "nightly"]),
        ({"cluster": "other"}, []),
        ({"sort": "name"}, ["coming", "films", "nightly"]),
        ({"sort": "-manifest_sha256", "page": "x"}, ["films", "coming", "nightly"]),
    ],
)
def test_it_narrows_and_sorts_on_the_server(
    backup: Backup, cluster: Cluster, alices: Browser, asked: dict[str, str], found: list[str]
) -> None:
    seed_backup(cluster, "coming", status=BackupStatus.CREATING)
    seed_backup(cluster, "films", db_name="films")
    assert names(alices.open("backup-list", **asked)) == found


def test_a_clusters_id_finds_its_backups(backup: Backup, alices: Browser) -> None:
    for key in (backup.cluster.cluster_id, backup.cluster.service_id):
        assert names(alices.open("backup-list", cluster=key)) == ["nightly"]


def test_it_pages(cluster: Cluster, alices: Browser) -> None:
    for number in range(51):
        seed_backup(cluster, f"b{number}")
    assert len(names(alices.open("backup-list"))) == 50
    assert names(alices.open("backup-list", page=2)) == ["b0"]


def test_what_is_gone_is_not_listed(cluster: Cluster, alices: Browser) -> None:
    seed_backup(cluster, "gone", status=BackupStatus.GONE)
    assert names(alices.open("backup-list")) == []


def test_a_cluster_has_a_list_of_its_own(make_cluster: MakeCluster, alices: Browser) -> None:
    one, two = make_cluster("one"), make_cluster("two")
    seed_backup(one, "of-one")
    seed_backup(two, "of-two")
    answer = alices.open("cluster-backup-list", one.pk)
    assert names(answer) == ["of-one"]
    assert b'name="cluster"' not in answer.content


def test_it_moves_while_a_job_is_at_a_backup_and_then_rests(
    backup: Backup, alices: Browser
) -> None:
    seed_job(backup, JobKind.VERIFY, TaskState.RUNNING)
    Task.objects.filter(kind="VERIFY").update(phase="verifying", progress=37)
    answer = alices.open("backup-list", htmx=True).content
    assert POLLS in answer
    assert b"Verify: Verifying" in answer
    assert b"37 %" in answer
    Task.objects.filter(kind="VERIFY").update(state=TaskState.FAILED)
    assert POLLS not in alices.open("backup-list", htmx=True).content


def test_it_says_how_far_each_can_be_trusted(backup: Backup, alices: Browser) -> None:
    assert b"Not tested yet" in alices.open("backup-list").content
    Backup.objects.update(proven_at=backup.created_at, pinned=True, warnings=["x"])
    answer = alices.open("backup-list").content
    assert all(word in answer for word in (b"Restore-tested", b"pinned", b"1&nbsp;warning"))


def test_an_empty_list_says_what_to_do_next(alices: Browser, bobs: Browser) -> None:
    assert b"Create a backup" in alices.open("backup-list").content
    assert b"Create a backup" not in bobs.open("backup-list").content
    assert b"Show all backups" in alices.open("backup-list", q="nothing").content


def test_nobody_sees_the_backups_of_others(backup: Backup, charlies: Browser) -> None:
    assert charlies.open("backup-list").status_code == 404
    charlies.organization = "other"
    assert names(charlies.open("backup-list")) == []
    assert charlies.open("backup-detail", backup.name).status_code == 404


def test_a_cluster_that_does_not_run_cannot_be_chosen(
    make_cluster: MakeCluster, alices: Browser
) -> None:
    runs, comes = make_cluster("runs"), make_cluster("comes", running=False)
    answer = alices.open("backup-take-from").content.decode()
    assert alices.address("backup-take", runs.pk) in answer
    assert alices.address("backup-take", comes.pk) not in answer
    assert "Start it first" in answer


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"tested": "yes"}, ["proven"]),
        ({"tested": "no"}, ["plain", "pinned"]),
        ({"pinned": "yes"}, ["pinned"]),
        ({"pinned": "no", "tested": "no"}, ["plain"]),
    ],
)
def test_it_filters_restore_tested_and_pinned_ones(
    cluster: Cluster, alices: Browser, asked: dict[str, str], found: list[str]
) -> None:
    seed_backup(cluster, "pinned", pinned=True)
    seed_backup(cluster, "plain")
    seed_backup(cluster, "proven", proven_at=timezone.now())
    assert names(alices.open("backup-list", **asked)) == found
