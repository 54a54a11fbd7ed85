"""A backup that is known to be damaged says so wherever it is shown, and counts as good nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from backups.models import FOUND_BY_READING, Backup
from backups.policies.models import BackupPolicy, PolicyRun
from backups.states import BackupStatus, JobKind
from backups.stores.base import Store
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.protection.conftest import Cover, cover
from tests.web.conftest import Browser
from vbase_console.tasks.states import TaskState

__all__ = ["cover"]

PROBLEM = "parts/1.parquet: its content does not match its SHA-256"
FINDING = {"file": "parts/1.parquet", "problem": "its content does not match its SHA-256"}
Open = Callable[[], str]


@pytest.fixture
def policy(cover: Cover) -> BackupPolicy:
    return cover(retention_count=1)


@pytest.fixture
def damaged(cluster: Cluster, policy: BackupPolicy) -> Backup:
    """The only backup of its cluster: a policy took it and a verification found it damaged."""
    backup = seed_backup(cluster, "nightly", policy_id=policy.pk)
    made = seed_job(backup, policy_id=policy.pk)
    now = made.task.created_at
    run = PolicyRun.objects.create(
        policy=policy, organization=policy.organization, job=made, planned_at=now
    )
    BackupPolicy.objects.filter(pk=policy.pk).update(last_run=run)
    found = seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    Backup.objects.update(damage_found_by=found.task.task_id, damage=[FINDING])
    backup.refresh_from_db()
    return backup


PAGES = {
    "backup-detail": lambda b: [b.name],
    "backup-list": lambda b: [],
    "cluster-backup-list": lambda b: [b.cluster_id],
    "backup-restore": lambda b: [b.name],
    "cluster-detail": lambda b: [b.cluster_id],
    "cluster-delete": lambda b: [b.cluster_id],
    "operation-list": lambda b: [],
    "cluster-operation-list": lambda b: [b.cluster_id],
    "job-detail": lambda b: [b.jobs.first().task.task_id],
    "policy-list": lambda b: [],
    "policy-detail": lambda b: [b.policy_id],
    "policy-backups": lambda b: [b.policy_id],
    "policy-runs": lambda b: [b.policy_id],
    "policy-delete": lambda b: [b.policy_id],
    "overview": lambda b: [],
}
"""Every page that names a backup or says how well something is protected by backups."""


@pytest.mark.parametrize("page", PAGES)
def test_every_page_that_shows_it_says_damaged(damaged: Backup, alices: Browser, page: str) -> None:
    content = alices.open(page, *PAGES[page](damaged)).content.decode()
    assert "amaged" in content
    assert '<span class="badge badge-good">Available</span>' not in content


def test_only_the_page_that_protects_shows_none(damaged: Backup, alices: Browser) -> None:
    """It lists good backups alone, so a damaged one is not there at all."""
    assert damaged.name not in alices.open("protection").content.decode()


def test_to_verify_it_is_what_is_offered_first(damaged: Backup, alices: Browser) -> None:
    content = alices.open("backup-detail", damaged.name).content.decode()
    assert 'id="do-verify" class="primary"' in content
    assert 'id="do-restore" class="button"' in content


def test_what_is_damaged_stands_above_everything_else(damaged: Backup, alices: Browser) -> None:
    content = alices.open("backup-detail", damaged.name).content.decode()
    assert content.index("<strong>Damaged.</strong>") < content.index('id="verification"')


def test_it_is_not_the_next_newest_when_another_is_deleted(
    damaged: Backup, cluster: Cluster, alices: Browser
) -> None:
    newer = seed_backup(cluster, "newer")
    content = alices.open("backup-delete", newer.name).content.decode()
    assert damaged.name not in content
    assert "vectors has no other undamaged backup; 1 is damaged." in content


def test_a_cluster_with_nothing_but_damage_is_deleted_with_a_warning(
    damaged: Backup, cluster: Cluster, alices: Browser
) -> None:
    content = alices.open("cluster-delete", cluster.pk).content.decode()
    assert "There is no undamaged backup of" in content


def test_backups_with_nothing_but_damage_can_be_deleted_with_their_cluster(
    damaged: Backup, cluster: Cluster, alices: Browser
) -> None:
    form = {"typed_name": cluster.name, "delete_backups": "on"}
    alices.send("cluster-delete", cluster.pk, **form)
    damaged.refresh_from_db()
    assert damaged.status == BackupStatus.DELETING


def test_its_policy_stands_among_the_troubled(
    damaged: Backup, policy: BackupPolicy, alices: Browser
) -> None:
    failing = alices.open("overview").context["failing"]
    assert [(each.policy.pk, each.policy.health) for each in failing] == [(policy.pk, "DAMAGED")]
    content = alices.open("policy-detail", policy.pk).content.decode()
    assert "The last run succeeded. The backup is damaged" in content
    assert f"The backup is damaged: {PROBLEM}." in content
    assert "No good backup yet" in content


@pytest.mark.parametrize(("status", "names"), [("AVAILABLE", ["good"]), ("DAMAGED", ["nightly"])])
def test_the_list_is_narrowed_to_damaged_ones_and_to_good_ones(
    damaged: Backup, cluster: Cluster, alices: Browser, status: str, names: list[str]
) -> None:
    seed_backup(cluster, "good")
    listed = alices.open("backup-list", status=status).context["backups"]
    assert [row.backup.name for row in listed] == names


def test_the_admin_says_it_and_finds_it(
    damaged: Backup, cluster: Cluster, sam: User, signed_in: Callable[[User], Client]
) -> None:
    seed_backup(cluster, "good")
    support = signed_in(sam)
    listed = support.get("/admin/backups/backup/", {"damaged": "yes"}).content.decode()
    assert "nightly" in listed
    assert ">good<" not in listed
    page = support.get(f"/admin/backups/backup/{damaged.pk}/change/").content.decode()
    assert "its content does not match its SHA-256" in page


def test_the_overview_counts_it_also_without_a_policy(cluster: Cluster, alices: Browser) -> None:
    seed_backup(cluster, "by-hand", damage_found_by=FOUND_BY_READING)
    response = alices.open("overview")
    assert response.context["covers"][0].damaged == 1
    address = alices.address("cluster-backup-list", cluster.pk)
    assert f'href="{address}?status=DAMAGED">1 damaged</a>' in response.content.decode()


# what a look at the archive finds


@pytest.fixture
def beheaded(sealed: Backup, store: Store) -> Backup:
    """Its manifest is gone; the store holds something else."""
    Path(store.root, sealed.directory, "manifest.json").unlink()  # type: ignore[attr-defined]
    Path(store.root, "other").mkdir()  # type: ignore[attr-defined]
    return sealed


def test_a_missing_manifest_is_told_at_the_top_of_its_page(
    beheaded: Backup, alices: Browser
) -> None:
    content = alices.open("backup-detail", beheaded.name).content.decode()
    assert content.index("manifest.json: it is missing") < content.index('id="verification"')
    assert '<span class="badge badge-bad">Damaged</span>' in content
    assert 'id="do-restore"' not in content


def test_it_is_remembered_and_told_by_every_list_from_then_on(
    beheaded: Backup, alices: Browser
) -> None:
    alices.open("backup-detail", beheaded.name)
    beheaded.refresh_from_db()
    assert (beheaded.damage_found_by, beheaded.is_damaged) == (FOUND_BY_READING, True)
    assert "Damaged" in alices.open("backup-list").content.decode()


def test_its_restore_says_why_it_cannot_be(beheaded: Backup, alices: Browser) -> None:
    alices.open("backup-detail", beheaded.name)
    content = alices.open("backup-restore", beheaded.name).content.decode()
    assert "The backup is damaged and cannot be restored: manifest.json: it is missing" in content


def test_a_store_that_is_away_is_no_damage(sealed: Backup, store: Store, alices: Browser) -> None:
    root = Path(store.root)  # type: ignore[attr-defined]
    root.rename(f"{root}-elsewhere")
    root.mkdir()
    assert "The backup store is empty" in alices.open("backup-detail", sealed.name).content.decode()
    sealed.refresh_from_db()
    assert not sealed.is_damaged


def test_a_manifest_that_is_back_is_whole_after_a_verification(
    beheaded: Backup, store: Store, alices: Browser, work: Callable[[], int]
) -> None:
    from backups.archive.writer import seal
    from tests.web.backups.conftest import manifest_of

    alices.open("backup-detail", beheaded.name)
    seal(store, beheaded.directory, manifest_of(beheaded))
    alices.send("backup-verify", beheaded.name)
    work()
    beheaded.refresh_from_db()
    assert (beheaded.damage_found_by, beheaded.damage) == ("", [])
    assert beheaded.verified_at is not None
    assert "amaged" not in alices.open("backup-detail", beheaded.name).content.decode()
