"""Why a backup stays, who may let it go, and how damage shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backups.models import Backup
from backups.policies import services
from backups.policies.models import BackupPolicy
from backups.policies.pruning import prune
from backups.states import JobKind
from backups.stores.base import Store, put
from clusters.models import Cluster
from tests.backups.seeds import seed_job
from tests.protection.conftest import Cover, cover, taken
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

__all__ = ["cover"]


@pytest.fixture
def policy(cover: Cover) -> BackupPolicy:
    return cover(retention_count=1)


@pytest.fixture
def held(cluster: Cluster, policy: BackupPolicy) -> Backup:
    """A backup whose successor lost a collection."""
    fuller = taken(cluster, *(), name="fuller", policy_id=policy.pk)
    Backup.objects.update(collections=[*fuller.collections, fuller.collections[0] | {"name": "b"}])
    taken(cluster, name="poorer", policy_id=policy.pk)
    prune(policy)
    fuller.refresh_from_db()
    assert fuller.retention_hold
    return fuller


def shown(browser: Browser, backup: Backup) -> str:
    return str(browser.open("backup-detail", backup.name).content.decode())


def test_it_says_which_policy_took_it_and_why_it_stays(
    cluster: Cluster, policy: BackupPolicy, alices: Browser
) -> None:
    content = shown(alices, taken(cluster, policy_id=policy.pk))
    assert alices.address("policy-detail", policy.pk) in content
    assert "yes: newest 1" in content


def test_a_backup_of_a_deleted_policy_belongs_to_nobodys_retention(
    cluster: Cluster, policy: BackupPolicy, alices: Browser
) -> None:
    backup = taken(cluster, policy_id=policy.pk)
    services.delete_policy(policy)
    content = shown(alices, backup)
    assert "retention does not apply" in content
    assert "(deleted)" in content


def test_a_backup_without_a_policy_says_nothing_of_one(cluster: Cluster, alices: Browser) -> None:
    content = shown(alices, taken(cluster))
    assert "<dt>Policy</dt>" not in content
    assert "<dt>Kept</dt>" not in content


def test_what_is_held_says_so_and_offers_to_release_it(
    held: Backup, alices: Browser, bobs: Browser
) -> None:
    content = shown(alices, held)
    assert "fuller than the one after it, until it is released" in content
    assert 'id="do-release"' in content
    assert 'id="do-release"' not in shown(bobs, held)


def test_releasing_states_the_consequence_first(held: Backup, alices: Browser) -> None:
    content = alices.open("backup-release", held.name).content.decode()
    assert "the backup is deleted after the next run" in content
    assert "2nd newest" in content


def test_it_is_released_and_that_is_on_record(held: Backup, alices: Browser) -> None:
    asked = alices.open("backup-release", held.name).content.decode()
    assert ("the hold of this backup" in asked, "<h2>Kept</h2>" in asked) == (True, True)
    assert alices.send("backup-release", held.name).url.endswith(held.name)
    held.refresh_from_db()
    assert held.retention_hold is False
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.outcome, entry.object_id) == ("ReleaseBackup", "ACCEPTED", "fuller")
    assert 'id="do-release"' not in shown(alices, held)


def test_a_viewer_releases_nothing(held: Backup, bobs: Browser) -> None:
    assert bobs.send("backup-release", held.name).status_code == 403
    held.refresh_from_db()
    assert held.retention_hold


def test_what_is_not_held_cannot_be_released(cluster: Cluster, alices: Browser) -> None:
    content = alices.open("backup-release", taken(cluster).name).content
    assert b"There is nothing to release" in content


def test_damage_shows_in_list_and_detail_with_its_finding(
    cluster: Cluster, alices: Browser
) -> None:
    backup = taken(cluster)
    job = seed_job(backup, JobKind.VERIFY, TaskState.FAILED)
    Task.objects.filter(pk=job.pk).update(message="parts/1.parquet: it is missing")
    Backup.objects.update(damage_found_by=job.task.task_id)
    address = alices.address("job-detail", job.task.task_id)
    content = shown(alices, backup)
    assert "parts/1.parquet: it is missing" in content
    listed = alices.open("backup-list").content.decode()
    assert f'href="{address}">Damaged</a>' in listed
    assert address in content


def test_damage_is_found_said_and_over_when_the_archive_is_found_whole(
    sealed: Backup, store: Store, alices: Browser, work: Callable[[], int]
) -> None:
    foreign = f"{sealed.directory}/parts/foreign"
    put(store, foreign, b"what nobody sealed")
    alices.send("backup-verify", sealed.name)
    work()
    assert "<strong>Damaged.</strong> While verifying: parts/foreign" in shown(alices, sealed)
    store.delete(foreign)
    alices.send("backup-verify", sealed.name)
    work()
    assert "Damaged" not in shown(alices, sealed)
