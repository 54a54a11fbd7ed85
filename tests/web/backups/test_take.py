"""The form, with a cluster that is made up; tests/backups/test_pages.py asks a real one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from backups import discovery
from backups.discovery import DiscoveredCollection
from backups.models import Backup, BackupJob
from backups.names import MAX_COLLECTIONS
from backups.services import backups
from clusters import services as clusters
from clusters.models import Cluster
from tests.backups.seeds import seed_backup
from tests.web.conftest import Browser
from vbase_console.core.errors import NotFound
from vbase_console.organizations.models import AuditEntry

Pretend = Callable[..., None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """A cluster that answers with these collections."""

    def pretend(*names: str, databases: tuple[str, ...] = ("default",)) -> None:
        seen = [DiscoveredCollection(name=name, rows=1234) for name in names]
        monkeypatch.setattr(discovery, "databases_of", lambda *_: list(databases))
        monkeypatch.setattr(discovery, "collections_of", lambda *_: seen)
        monkeypatch.setattr(backups, "require_collections", lambda *_: None)

    return pretend


def test_it_lists_the_living_collections_with_their_rows(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend("images", "texts")
    content = alices.open("backup-take", cluster.pk).content.decode()
    assert content.count("1,234 rows") == 2
    assert content.count("checked") == 2
    assert 'name="others"' not in content


@pytest.mark.parametrize(("tick", "ticked"), [("none", 0), ("all", 2)])
def test_all_or_none_are_ticked_and_what_was_typed_stays(
    cluster: Cluster, alices: Browser, pretend: Pretend, tick: str, ticked: int
) -> None:
    pretend("images", "texts")
    typed = {"db_name": "default", "backup_name": "mine", "collection_names": ["images"]}
    content = alices.send("take-tick", cluster.pk, tick=tick, **typed).content.decode()
    assert content.count("checked") == ticked
    assert re.findall(r'value="(\w+)"[^>]* autofocus', content) == [tick]
    assert 'value="mine"' in content
    assert f'action="{alices.address("backup-take", cluster.pk)}"' in content
    assert not BackupJob.objects.exists()


def test_it_asks_for_what_was_ticked(cluster: Cluster, alices: Browser, pretend: Pretend) -> None:
    pretend("images", "texts")
    answer = alices.send(
        "backup-take", cluster.pk, collection_names=["texts"], db_name="default", backup_name="one"
    )
    job = BackupJob.objects.get()
    assert answer.url.endswith(job.task.task_id)
    assert (job.collection_names, job.backup.name) == (["texts"], "one")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("CreateBackup", "one")


def test_it_names_a_backup_that_nobody_named(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend("images")
    alices.send("backup-take", cluster.pk, collection_names=["images"], db_name="default")
    assert Backup.objects.get().name.startswith("default-")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, b"Select at least one collection."),
        ({"collection_names": ["images"], "backup_name": "no spaces"}, b"Use 1 to 128 letters"),
        ({"collection_names": ["elsewhere"]}, b"elsewhere is not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(
    cluster: Cluster, alices: Browser, pretend: Pretend, given: dict[str, object], said: bytes
) -> None:
    pretend("images")
    answer = alices.send("backup-take", cluster.pk, db_name="default", **given)
    assert answer.status_code == 422
    assert said in answer.content
    assert not BackupJob.objects.exists()


def test_a_name_that_is_taken_is_said_in_the_form(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    seed_backup(cluster, "one")
    pretend("images")
    given = {"collection_names": ["images"], "db_name": "default", "backup_name": "one"}
    answer = alices.send("backup-take", cluster.pk, **given)
    assert answer.status_code == 409
    assert b"Choose another name" in answer.content


def test_a_collection_that_is_gone_meanwhile_is_said_in_the_form(
    cluster: Cluster, alices: Browser, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise NotFound("Database 'default' has no collection images.")

    pretend("images")
    monkeypatch.setattr(backups, "require_collections", gone)
    answer = alices.send("backup-take", cluster.pk, collection_names=["images"], db_name="default")
    assert b"has no collection images" in answer.content
    assert b'name="backup_name"' in answer.content


def test_very_many_collections_are_named_or_taken_all(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    names = [f"c{number:04}" for number in range(1_000)]
    pretend(*names)
    content = alices.open("backup-take", cluster.pk).content.decode()
    assert content.count('type="checkbox"') == 202  # 200, all, and users and roles
    alices.send("backup-take", cluster.pk, db_name="default", others="c0999\r\nc0998\r\n")
    alices.send("backup-take", cluster.pk, db_name="default", every="on")
    last, first = BackupJob.objects.all()
    assert first.collection_names == ["c0999", "c0998"]
    assert last.collection_names == names


def test_a_database_is_chosen_without_a_script(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend("images", databases=("default", "films"))
    content = alices.open("backup-take", cluster.pk, db_name="films").content.decode()
    assert "<option selected>films</option>" in content
    assert 'name="db_name" value="films"' in content


def test_an_empty_database_says_what_to_do_next(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend()
    assert b"has no collections yet" in alices.open("backup-take", cluster.pk).content


def test_a_stopped_cluster_says_why_and_what_to_do(
    cluster: Cluster, alices: Browser, work: Callable[[], int]
) -> None:
    clusters.stop_cluster(cluster, by="alice")
    work()
    content = alices.open("backup-take", cluster.pk).content.decode()
    assert "It must be running" in content
    assert alices.address("cluster-start", cluster.pk) in content
    assert alices.send("backup-take", cluster.pk).status_code == 400


def test_a_cluster_that_does_not_answer_is_said(cluster: Cluster, alices: Browser) -> None:
    answer = alices.open("backup-take", cluster.pk)
    assert answer.status_code == 200
    assert b"has no running server" in answer.content
    assert b"Retry" in answer.content
    assert alices.send("backup-take", cluster.pk).status_code == 503


def test_an_unknown_database_is_said(
    cluster: Cluster, alices: Browser, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend("images")
    monkeypatch.setattr(
        discovery,
        "collections_of",
        lambda _, name: discovery.require_database_in(["default"], name),
    )
    content = alices.open("backup-take", cluster.pk, db_name="nothing").content
    assert b"There is no database &#x27;nothing&#x27;, only default." in content


def test_a_viewer_takes_none(cluster: Cluster, bobs: Browser) -> None:
    assert bobs.open("backup-take", cluster.pk).status_code == 403
    assert bobs.open("backup-take-from").status_code == 403
    assert b"take-backup" not in bobs.open("cluster-detail", cluster.pk).content


def test_three_thousand_ticks_are_taken(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    names = [f"c{number:04}" for number in range(3_000)]
    pretend(*names)
    alices.send("backup-take", cluster.pk, db_name="default", collection_names=names)
    assert BackupJob.objects.get().collection_names == names


def test_more_than_may_be_named_are_refused_in_the_form(
    cluster: Cluster, alices: Browser, pretend: Pretend
) -> None:
    pretend(*(f"c{number:05}" for number in range(MAX_COLLECTIONS + 1)))
    answer = alices.send("backup-take", cluster.pk, db_name="default", every="on")
    assert b"Name at most 10,000 collections." in answer.content
    assert not BackupJob.objects.exists()
