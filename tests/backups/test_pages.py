"""Take and restore through the pages, with a Milvus that answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pymilvus import MilvusClient

from backups.models import Backup, BackupJob
from backups.stores.local import LocalStore
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.backups.elsewhere import with_roles
from tests.web.conftest import Browser, alices, browser_of

Work = Callable[[], int]
__all__ = ["alices", "browser_of"]


def take(alices: Browser, cluster: Cluster, *names: str) -> Any:
    given = {"db_name": "default", "collection_names": names, "backup_name": "one"}
    return alices.send("backup-take", cluster.pk, **given)


def wish(cluster: Cluster, **fields: str) -> dict[str, str]:
    given = {"target": cluster.pk, "db_name": "default", "collection_names": "images"}
    return {**given, "on_conflict": "FAIL", **fields}


def test_what_is_there_is_offered_with_its_rows(
    cluster: Cluster, milvus: MilvusClient, alices: Browser
) -> None:
    fill(milvus, rows=12)
    fill(milvus, "unloaded", rows=0)
    milvus.release_collection("unloaded")
    milvus.create_database("films")
    content = alices.open("backup-take", cluster.pk).content.decode()
    assert 'images <span class="muted">12 rows</span>' in content
    assert "unloaded" in content
    assert "<option>films</option>" in content


def test_a_collection_that_is_dropped_meanwhile_is_said(
    cluster: Cluster, milvus: MilvusClient, alices: Browser
) -> None:
    fill(milvus, rows=1)
    answer = take(alices, cluster, "images", "texts")
    assert b"texts is not one of the available choices" in answer.content
    assert not BackupJob.objects.exists()


def test_a_backup_is_taken_dropped_and_brought_back(
    cluster: Cluster, milvus: MilvusClient, alices: Browser, work: Work
) -> None:
    fill(milvus, rows=300)
    before = rows_of(milvus)
    take(alices, cluster, "images")
    work()
    milvus.drop_collection("images")
    alices.send("backup-restore-confirm", "one", **wish(cluster))
    work()
    assert rows_of(milvus) == before
    content = alices.open("backup-detail", "one").content.decode()
    assert re.search(r"Restore-tested</button>.*?</dt><dd><time", content)


def test_a_restore_begins_with_options_that_work_and_ends_with_what_it_proved(
    cluster: Cluster, milvus: MilvusClient, alices: Browser, work: Work
) -> None:
    fill(milvus, rows=300)
    fill(milvus, "images_restored", rows=1)
    take(alices, cluster, "images")
    work()
    form = alices.open("backup-restore", "one").context["form"]
    chosen = {name: form[name].value() for name in ("target", "db_name", "on_conflict", "suffix")}
    assert (chosen["on_conflict"], chosen["suffix"]) == ("RENAME", "_restored2")
    restored = alices.send("backup-restore-confirm", "one", **chosen, collection_names="images")
    work()
    assert "images_restored2" in milvus.list_collections()
    content = alices.client.get(restored.url).content.decode()
    assert "<strong>300 of 300 rows identical.</strong>" in content
    assert '<th scope="row">images_restored2</th>' in content
    assert "The backup now counts as restore-tested." in content


def test_users_and_roles_are_requested_by_a_checkbox(
    cluster: Cluster, milvus: MilvusClient, alices: Browser
) -> None:
    fill(milvus, rows=1)
    given = {"db_name": "default", "collection_names": ["images"], "backup_name": "one"}
    alices.send("backup-take", cluster.pk, **given, include_access_control="on")
    assert BackupJob.objects.get().options["include_access_control"] is True


def test_roles_can_be_restored_from_a_backup_that_has_some(
    cluster: Cluster, milvus: MilvusClient, alices: Browser, work: Work
) -> None:
    fill(milvus, rows=1)
    take(alices, cluster, "images")
    work()
    assert b"Restore roles" not in alices.open("backup-restore", "one").content
    with_roles(Backup.objects.get())
    assert b"Restore roles" in alices.open("backup-restore", "one").content
    assert b"included, without passwords" in alices.open("backup-detail", "one").content
    milvus.drop_collection("images")
    chosen = wish(cluster, restore_access_control="on")
    preview = alices.send("backup-restore", "one", **chosen).content.decode()
    assert "has no users and roles" in preview
    assert 'name="restore_access_control"' in preview
    alices.send("backup-restore-confirm", "one", **chosen)
    job = BackupJob.objects.get(job_type="RESTORE")
    assert job.options["restore_access_control"] is True


def test_the_preflight_sees_the_target_as_it_is(
    cluster: Cluster, milvus: MilvusClient, alices: Browser, work: Work
) -> None:
    fill(milvus, rows=30)
    take(alices, cluster, "images")
    work()
    taken = alices.send("backup-restore", "one", **wish(cluster)).content.decode()
    beside = wish(cluster, on_conflict="RENAME", suffix="_again")
    renamed = alices.send("backup-restore", "one", **beside).content.decode()
    assert "&#x27;images&#x27; already exists in database &#x27;default&#x27;." in taken
    assert "images_again" in renamed
    assert milvus.list_collections() == ["images"]


def test_the_archive_is_shown_with_its_parts(
    cluster: Cluster, milvus: MilvusClient, alices: Browser, work: Work, store: LocalStore
) -> None:
    fill(milvus, rows=30)
    take(alices, cluster, "images")
    work()
    content = alices.open("backup-detail", "one").content.decode()
    (part,) = store.list(f"{Backup.objects.get().directory}/parts")
    assert part.key.rpartition("/")[2].removesuffix(".parquet") in content
    assert "HNSW COSINE" in content
