"""Pages that restore into a new cluster, and those that clone one."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.archive.writer import seal
from backups.models import Backup, BackupJob
from backups.protection.models import KnownCollection
from backups.services import new_clusters
from backups.states import JobKind
from backups.stores.base import Store
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.backups.conftest import manifest_of
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task

WISH = {
    "target": "new",
    "name": "copy",
    "compute_units": "2",
    "db_name": "default",
    "collection_names": ["from_the_manifest"],
    "on_conflict": "RENAME",
    "suffix": "_restored",
}


@pytest.fixture
def backup(cluster: Cluster, store: Store) -> Backup:
    collections = [{"name": "from_the_manifest", "rowCount": 0, "sizeBytes": 0, "parts": 0}]
    return sealed_in(store, seed_backup(cluster, "nightly", collections=collections))


def sealed_in(store: Store, backup: Backup) -> Backup:
    backup.manifest_sha256 = seal(store, backup.directory, manifest_of(backup))
    backup.save()
    return backup


def job() -> BackupJob:
    return BackupJob.objects.select_related("task", "cluster").get()


# -- the wizard -----------------------------------------------------------------------------------


def test_it_offers_a_new_cluster_under_a_free_name(
    backup: Backup, alices: Browser, make_cluster: Callable[..., Cluster]
) -> None:
    make_cluster("vectors-restored", running=False)
    form = alices.open("backup-restore", backup.name).context["form"]
    assert form.fields["target"].choices[-1] == ("new", "A new cluster")
    assert form["name"].value() == "vectors-restored-2"


def test_the_name_for_a_copy_of_a_long_name_keeps_its_ending(
    backup: Backup, alices: Browser
) -> None:
    Cluster.objects.update(name=f"{'a' * 48} {'b' * 12}")
    name = alices.open("backup-restore", backup.name).context["form"]["name"].value()
    assert name == f"{'a' * 48} b-restored"
    assert len(f"{name}-999") <= 63


def test_the_check_names_what_is_created_and_creates_nothing(
    backup: Backup, alices: Browser
) -> None:
    content = alices.send("backup-restore", backup.name, **WISH).content.decode()
    assert "restore into the new cluster copy, database default" in content
    assert "it is removed" in content
    assert (Cluster.objects.count(), BackupJob.objects.count()) == (1, 0)


def test_the_confirmation_creates_cluster_and_job(backup: Backup, alices: Browser) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    assert (job().cluster.name, job().cluster.compute_units) == ("copy", 2)
    assert job().fills_new_cluster
    rows = AuditEntry.objects.filter(object_id__in=[job().cluster_id, job().cluster.service_id])
    assert set(rows.values_list("action", flat=True)) == {"RestoreBackup", "CreateCluster"}


def test_its_page_shows_the_deployment_first(backup: Backup, alices: Browser) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    content = alices.open("job-detail", job().task.task_id).content.decode()
    assert "Deployment of copy" in content


def test_a_missing_and_a_taken_name_stand_in_the_form(backup: Backup, alices: Browser) -> None:
    missing = alices.send("backup-restore", backup.name, **WISH | {"name": ""})
    taken = alices.send("backup-restore", backup.name, **WISH | {"name": "vectors"})
    assert "Enter a name for the new cluster." in missing.content.decode()
    assert "A cluster named" in taken.content.decode()


def test_a_failed_one_is_restored_again_and_not_retried(
    backup: Backup, alices: Browser, work: Callable[[], int]
) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    alices.send("job-cancel", job().task.task_id)
    work()
    content = alices.open("job-detail", job().task.task_id).content.decode()
    assert "target=new&amp;name=copy" in content
    assert 'id="retry"' not in content


def test_its_cancellation_names_what_is_removed(backup: Backup, alices: Browser) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    content = alices.open("job-cancel", job().task.task_id).content.decode()
    assert "the new cluster copy, which is removed with everything in it" in content


def test_the_cancellation_of_its_deployment_names_the_restore(
    backup: Backup, alices: Browser
) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    deployment = Task.objects.get(kind="DEPLOYMENT", subject_id=job().cluster_id)
    content = alices.open("task-cancel", deployment.task_id).content.decode()
    assert "the new cluster, which is removed, and the restore that should fill it" in content
    assert "deploy it with a retry" not in content


def test_a_protected_new_cluster_is_kept_and_its_restore_retried(
    backup: Backup, alices: Browser, work: Callable[[], int]
) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    Cluster.objects.filter(name="copy").update(deletion_protection=True)
    content = alices.open("job-cancel", job().task.task_id).content.decode()
    assert "the new cluster copy without restored collections" in content
    alices.send("job-cancel", job().task.task_id)
    work()
    content = alices.open("job-detail", job().task.task_id).content.decode()
    assert 'id="retry"' in content
    assert 'id="again"' not in content


def test_a_failure_is_on_the_overview_until_the_backup_is_restored_again(
    backup: Backup, alices: Browser, work: Callable[[], int]
) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    Task.objects.filter(kind="RESTORE").update(state="FAILED", finished_at=timezone.now())
    failures = alices.open("overview").context["failed"]
    assert [row.task.kind for row in failures] == ["RESTORE"]
    seed_job(backup, JobKind.RESTORE)
    assert alices.open("overview").context["failed"] == []


def test_a_restore_whose_cluster_was_deleted_later_says_so(backup: Backup, alices: Browser) -> None:
    alices.send("backup-restore-confirm", backup.name, **WISH)
    Task.objects.filter(kind="RESTORE").update(
        state="SUCCEEDED", progress=100, finished_at=timezone.now()
    )
    Cluster.objects.filter(name="copy").update(status="DELETED")
    content = alices.open("job-detail", job().task.task_id).content.decode()
    assert "copy was deleted after this restore" in content
    assert 'id="to-cluster"' not in content


# -- clone ----------------------------------------------------------------------------------------


@pytest.fixture
def of_texts(backup: Backup, store: Store) -> Backup:
    return sealed_in(store, seed_backup(backup.cluster, "of-texts", db_name="texts"))


def test_a_clusters_page_offers_to_clone_it(backup: Backup, alices: Browser) -> None:
    assert b'id="do-clone"' in alices.open("cluster-detail", backup.cluster_id).content


def test_a_clone_offers_the_newest_backup_of_each_database(
    backup: Backup, of_texts: Backup, alices: Browser
) -> None:
    newer = seed_backup(backup.cluster, "newer", collections=backup.collections)
    form = alices.open("cluster-clone", backup.cluster_id).context["form"]
    assert [form[field].value() for field in form.databases] == [newer.pk, of_texts.pk]


def test_a_clone_presets_the_complete_backup_and_names_what_a_newer_one_lacks(
    backup: Backup, alices: Browser
) -> None:
    seed_backup(backup.cluster, "newer", collections=[])
    field = choices_of_clone(alices, backup.cluster)
    assert field.initial == backup.pk
    assert "lacks from_the_manifest" in field.choices[0][1]


def test_a_clone_does_not_preset_an_old_backup(backup: Backup, alices: Browser) -> None:
    old = timezone.now() - datetime.timedelta(days=9)
    seed_backup(backup.cluster, "old", created_at=old, collections=named("from_the_manifest", "b"))
    assert choices_of_clone(alices, backup.cluster).initial == backup.pk


def test_many_backups_of_one_database_hide_none_of_another(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_clusters, "MAX_SEARCHED", 2)
    yesterday = timezone.now() - datetime.timedelta(days=1)
    weekly = seed_backup(cluster, "weekly", db_name="archive", created_at=yesterday)
    for _ in range(3):
        seed_backup(cluster)
    content = alices.open("cluster-clone", cluster.cluster_id).content.decode()
    assert "Only the newest 2 backups were searched." in content
    know(cluster, "archive", "images", newest_backup=weekly)
    form = alices.open("cluster-clone", cluster.cluster_id).context["form"]
    assert form["backup_0"].value() == weekly.pk


def test_many_backups_of_some_collections_do_not_hide_the_complete_one(
    cluster: Cluster, alices: Browser
) -> None:
    yesterday = timezone.now() - datetime.timedelta(days=1)
    full = seed_backup(cluster, "full", created_at=yesterday, collections=named("images", "users"))
    know(cluster, "default", "users", newest_backup=full)
    for _ in range(new_clusters.NEWEST_OFFERED):
        seed_backup(cluster)
    field = choices_of_clone(alices, cluster)
    assert field.initial == full.pk
    assert "lacks users" in field.choices[0][1]
    assert len(field.choices) == new_clusters.NEWEST_OFFERED + 2  # with the full one, and none


def test_collections_that_no_backup_combines_are_explained(
    cluster: Cluster, alices: Browser
) -> None:
    seed_backup(cluster, collections=named("users"))
    seed_backup(cluster, collections=named("images"))
    content = alices.open("cluster-clone", cluster.cluster_id).content.decode()
    assert "lacks users" in content
    assert "lacks images" in content
    assert "None of these backups contains all collections" in content


def test_a_collection_that_is_in_no_backup_is_named(cluster: Cluster, alices: Browser) -> None:
    seed_backup(cluster)
    know(cluster, "default", "unsaved")
    assert "not cloned: unsaved." in choices_of_clone(alices, cluster).help_text


def test_collections_in_backups_that_are_not_offered_are_named_apart_from_those_in_none(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_clusters, "NEWEST_OFFERED", 2)
    for number in range(6):
        created_at = timezone.now() - datetime.timedelta(hours=6 - number)
        newest = seed_backup(cluster, created_at=created_at, collections=named(f"c{number}"))
        know(cluster, "default", f"c{number}", newest)
    know(cluster, "default", "unsaved")
    field = choices_of_clone(alices, cluster)
    offered = "".join(text for _, text in field.choices)
    assert len(field.choices) == 2 * new_clusters.NEWEST_OFFERED + 1  # 4 of 6, and none
    assert "In no good backup, so not cloned: unsaved." in field.help_text
    assert "In good backups that are not offered: c2, c3. Restore them" in field.help_text
    assert "lacks c0, c1, c2, c3, c4 and 1 more" in offered


def test_each_policy_has_a_backup_among_the_choices(cluster: Cluster, alices: Browser) -> None:
    """The inventory of a deleted cluster is removed, so that it does not name the full backup."""
    yesterday = timezone.now() - datetime.timedelta(days=1)
    full = seed_backup(
        cluster, created_at=yesterday, collections=named("images", "users"), policy_id="pol-daily"
    )
    for _ in range(new_clusters.NEWEST_OFFERED + 1):
        seed_backup(cluster, policy_id="pol-hourly")
    assert choices_of_clone(alices, cluster).initial == full.pk


@pytest.mark.parametrize("limit", ["MAX_SEARCHED", "NEWEST_OFFERED"])
def test_backups_that_are_not_offered_are_named_if_no_inventory_tells_what_is_lacking(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(new_clusters, limit, 2)
    for _ in range(3):
        seed_backup(cluster)
    assert "Older backups are not offered" in choices_of_clone(alices, cluster).help_text
    know(cluster, "default", "images")
    assert "Older backups" not in choices_of_clone(alices, cluster).help_text


def test_a_clone_names_databases_without_a_backup_users_and_roles(
    backup: Backup, alices: Browser
) -> None:
    know(backup.cluster, "archive", "unsaved")
    content = alices.open("cluster-clone", backup.cluster_id).content.decode()
    assert "they have no good backup: database archive." in content
    assert "users and roles" in content
    assert "is not offered for new clusters" not in content


def test_a_clone_creates_roles_on_request(
    backup: Backup, of_texts: Backup, alices: Browser
) -> None:
    Backup.objects.update(has_access_control=True)
    asked = {"backup_0": backup.pk, "backup_1": of_texts.pk}
    clone(alices, backup.cluster, **asked, restore_access_control="on")
    jobs = BackupJob.objects.order_by("pk")
    assert [job.options["restore_access_control"] for job in jobs] == [True, False]


def test_a_clone_names_the_version_if_that_of_the_source_is_not_offered(
    backup: Backup, alices: Browser
) -> None:
    Cluster.objects.update(version="1.0.0")
    content = alices.open("cluster-clone", backup.cluster_id).content.decode()
    assert "because version 1.0.0 of vectors is not offered" in content


def test_the_page_reads_the_contents_of_few_backups(
    cluster: Cluster, alices: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_clusters, "NEWEST_OFFERED", 2)
    for number in range(30):
        seed_backup(cluster, policy_id=f"pol-{number % 2}")
    with CaptureQueriesContext(connection) as captured:
        alices.open("cluster-clone", cluster.cluster_id)
    (reading,) = (
        query["sql"]
        for query in captured
        if 'FROM "backups_backup"' in query["sql"]
        and '"backups_backup"."collections"' in query["sql"]
    )
    with connection.cursor() as cursor:
        cursor.execute(reading)
        assert len(cursor.fetchall()) == 2 * new_clusters.NEWEST_OF_POLICY


def test_a_clone_is_one_cluster_with_a_job_for_each_database(
    backup: Backup, of_texts: Backup, alices: Browser
) -> None:
    said = clone(alices, backup.cluster, backup_0=backup.pk, backup_1=of_texts.pk)
    clones = Cluster.objects.exclude(pk=backup.cluster_id)
    assert said.url.endswith(f"/clusters/{clones.get().cluster_id}")
    jobs = BackupJob.objects.values_list("cluster__name", "db_name").order_by("pk")
    assert list(jobs) == [("copy", "default"), ("copy", "texts")]
    kinds = Task.objects.filter(lock=clones.get().lock).order_by("pk")
    assert [task.kind for task in kinds] == ["DEPLOYMENT", "RESTORE", "RESTORE"]


def test_a_clone_names_its_other_restores_and_is_cloned_again(
    backup: Backup, of_texts: Backup, alices: Browser, work: Callable[[], int]
) -> None:
    clone(alices, backup.cluster, backup_0=backup.pk, backup_1=of_texts.pk)
    first = BackupJob.objects.select_related("task").earliest("pk").task.task_id
    assert "the other restores of this clone" in alices.open("job-cancel", first).content.decode()
    alices.send("job-cancel", first)
    work()
    again = alices.address("cluster-clone", backup.cluster_id)
    assert (
        f'id="again" class="button" href="{again}"'
        in alices.open("job-detail", first).content.decode()
    )


def test_a_clone_of_one_database_leads_to_its_job(
    backup: Backup, of_texts: Backup, alices: Browser
) -> None:
    said = clone(alices, backup.cluster, backup_0=backup.pk, backup_1="none")
    assert said.url.endswith(f"/jobs/{job().task.task_id}")


def test_a_clone_of_nothing_is_refused(backup: Backup, alices: Browser) -> None:
    said = clone(alices, backup.cluster, backup_0="none")
    assert "Choose a backup of at least one database." in said.content.decode()
    assert Cluster.objects.count() == 1


def test_a_clone_may_be_larger_than_its_source(backup: Backup, alices: Browser) -> None:
    clone(alices, backup.cluster, compute_units="2", backup_0=backup.pk)
    assert (job().cluster.compute_units, job().cluster.max_compute_units) == (2, 2)


def test_a_larger_clone_raises_the_bound_of_autoscaling(backup: Backup, alices: Browser) -> None:
    scaled = {"enable_auto_scaling": True, "compute_units": 2, "max_compute_units": 4}
    Cluster.objects.filter(pk=backup.cluster_id).update(**scaled)
    clone(alices, backup.cluster, compute_units="8", backup_0=backup.pk)
    assert (job().cluster.compute_units, job().cluster.max_compute_units) == (8, 8)


def test_a_cluster_without_a_backup_leads_to_one(cluster: Cluster, alices: Browser) -> None:
    content = alices.open("cluster-clone", cluster.cluster_id).content.decode()
    assert "A clone is made from a backup" in content
    assert "Create a backup" in content


def clone(browser: Browser, cluster: Cluster, **fields: str) -> Any:
    given = {"name": "copy", "compute_units": "1"} | fields
    return browser.send("cluster-clone", cluster.cluster_id, **given)


def choices_of_clone(browser: Browser, cluster: Cluster) -> Any:
    """Return the field of the only database."""
    return browser.open("cluster-clone", cluster.cluster_id).context["form"].fields["backup_0"]


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "rowCount": 5, "sizeBytes": 5, "parts": 0} for name in names]


def know(cluster: Cluster, db_name: str, name: str, newest_backup: Backup | None = None) -> None:
    KnownCollection.objects.create(
        organization_id=cluster.organization_id,
        cluster=cluster,
        db_name=db_name,
        name=name,
        newest_backup=newest_backup,
    )
