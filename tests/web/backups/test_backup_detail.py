from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from backups.archive.layout import MANIFEST_NAME
from backups.models import FILLS_NEW_CLUSTER, Backup, BackupJob
from backups.states import BackupStatus, JobKind
from backups.stores.base import Store, put
from clusters.models import Cluster
from tests.backups.seeds import seed_backup, seed_job
from tests.web.conftest import Browser
from tests.web.test_live import OpenPage
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task, TaskEvent
from vbase_console.tasks.states import TaskState

POLLS = ' data-busy=""'


def shown(browser: Browser, backup: Backup) -> str:
    return str(browser.open("backup-detail", backup.name).content.decode())


def test_it_shows_what_the_manifest_says(sealed: Backup, alices: Browser) -> None:
    content = shown(alices, sealed)
    assert "from_the_manifest" in content
    assert "id INT64, primary key" in content
    assert "2030-01-02 03:04:05 UTC" in content
    assert sealed.manifest_sha256 in content
    assert sealed.directory in content


def test_a_missing_manifest_is_said(backup: Backup, store: Store, alices: Browser) -> None:
    put(store, "another/backup", b"the store is there")
    content = shown(alices, backup)
    assert "manifest.json: it is missing" in content
    assert "images" in content


def test_a_damaged_manifest_is_said(backup: Backup, store: Store, alices: Browser) -> None:
    put(store, f"{backup.directory}/{MANIFEST_NAME}", b"{}")
    assert "The backup is damaged" in shown(alices, backup)


def test_another_manifest_than_the_one_that_was_sealed_is_said(
    sealed: Backup, alices: Browser
) -> None:
    Backup.objects.update(manifest_sha256="0" * 64)
    content = shown(alices, sealed)
    assert "is not the one that was sealed" in content
    assert "from_the_manifest" not in content


def test_its_trust_is_in_words(sealed: Backup, alices: Browser) -> None:
    assert "restore under new names or into another database to test it" in shown(alices, sealed)
    Backup.objects.update(
        proven_at=sealed.created_at, verified_at=sealed.created_at, warnings=["It forgets."]
    )
    content = shown(alices, sealed)
    assert re.search(r"Restore-tested</button><span [^>]*>[^<]*</span></dt><dd><time", content)
    assert "not verified yet" not in content
    assert "It forgets." in content


def test_it_names_the_job_that_made_it(sealed: Backup, alices: Browser) -> None:
    job = seed_job(sealed)
    assert alices.address("job-detail", job.task.task_id) in shown(alices, sealed)


def test_it_polls_while_a_job_is_at_it_and_brings_the_contents_when_it_is_sealed(
    sealed: Backup, alices: Browser
) -> None:
    seed_job(sealed, state=TaskState.RUNNING)
    Backup.objects.update(status=BackupStatus.CREATING)
    content = shown(alices, sealed)
    assert POLLS in content
    assert "Collections appear here once the backup is available." in content
    page = OpenPage(alices.client, alices.address("backup-detail", sealed.name))
    Backup.objects.update(status=BackupStatus.AVAILABLE)
    Task.objects.filter(kind="BACKUP").update(state=TaskState.SUCCEEDED, progress=100)
    parts = page.ask().json()["parts"]
    assert POLLS not in parts["backup-live"]
    assert "from_the_manifest" in parts["backup-contents"]


def test_a_poll_without_news_leaves_the_contents_alone(sealed: Backup, alices: Browser) -> None:
    page = OpenPage(alices.client, alices.address("backup-detail", sealed.name))
    assert page.ask_for_parts() == set()


def test_an_open_page_of_what_is_gone_is_told_so(backup: Backup, alices: Browser) -> None:
    page = OpenPage(alices.client, alices.address("backup-detail", backup.name))
    Backup.objects.update(status=BackupStatus.GONE)
    assert page.ask().status_code == 404
    assert alices.open("backup-detail", backup.name).status_code == 404


def test_a_name_belongs_to_the_backup_that_has_it_now(sealed: Backup, alices: Browser) -> None:
    seed_backup(sealed.cluster, "again", status=BackupStatus.GONE)
    seed_backup(sealed.cluster, "again")
    assert alices.open("backup-detail", "again").status_code == 200


@pytest.mark.parametrize(
    ("who", "offered"),
    [
        ("alices", {"restore", "verify", "pin", "delete"}),
        ("olgas", {"restore", "verify", "pin"}),
        ("bobs", set()),
    ],
)
def test_it_offers_what_the_person_may(
    sealed: Backup, request: pytest.FixtureRequest, who: str, offered: set[str]
) -> None:
    content = shown(request.getfixturevalue(who), sealed)
    every = {"restore", "verify", "pin", "unpin", "delete"}
    assert {name for name in every if f'id="do-{name}"' in content} == offered


@pytest.mark.parametrize("name", ["verify", "pin", "unpin", "delete", "restore-confirm"])
def test_a_viewer_changes_nothing_and_the_try_is_on_record(
    backup: Backup, bobs: Browser, name: str
) -> None:
    assert bobs.send(f"backup-{name}", backup.name).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.outcome, entry.object_id) == ("REFUSED", "nightly")


@pytest.mark.parametrize("name", ["verify", "pin", "unpin", "delete"])
def test_every_change_has_a_page_of_its_own(backup: Backup, alices: Browser, name: str) -> None:
    answer = alices.open(f"backup-{name}", backup.name)
    assert answer.status_code == 200
    assert b'<form method="post"' in answer.content


def test_it_is_verified(sealed: Backup, alices: Browser) -> None:
    alices.send("backup-verify", sealed.name)
    content = shown(alices, sealed)
    assert "Waiting for a worker." in content
    assert 'id="do-verify"' not in content
    assert AuditEntry.objects.get().detail == Task.objects.get(kind="VERIFY").task_id


def test_it_is_pinned_and_unpinned(sealed: Backup, alices: Browser) -> None:
    alices.send("backup-pin", sealed.name)
    content = shown(alices, sealed)
    assert 'id="do-unpin"' in content
    assert 'id="do-delete"' not in content
    alices.send("backup-unpin", sealed.name)
    assert 'id="do-delete"' in shown(alices, sealed)


def test_deleting_wants_the_name_typed(backup: Backup, alices: Browser) -> None:
    answer = alices.send("backup-delete", backup.name, typed_name="nightl")
    assert answer.status_code == 422
    assert b"Type the name exactly as shown above" in answer.content
    backup.refresh_from_db()
    assert backup.status == BackupStatus.AVAILABLE


def test_a_deletion_leads_to_its_job(backup: Backup, alices: Browser) -> None:
    answer = alices.send("backup-delete", backup.name, typed_name="nightly")
    assert answer.url.endswith(Task.objects.get(kind="DELETE").task_id)
    backup.refresh_from_db()
    assert backup.status == BackupStatus.DELETING


def test_a_pinned_backup_says_what_to_do_first(backup: Backup, alices: Browser) -> None:
    Backup.objects.update(pinned=True)
    assert b"Unpin it" in alices.open("backup-delete", backup.name).content
    assert alices.send("backup-delete", backup.name, typed_name="nightly").status_code == 400


def test_the_blast_radius_of_the_last_backup_is_said(backup: Backup, alices: Browser) -> None:
    Backup.objects.update(proven_at=backup.created_at)
    content = alices.open("backup-delete", backup.name).content
    assert b"the last backup of vectors" in content
    assert b"the only restore-tested backup of vectors" in content
    seed_backup(backup.cluster, "another")
    content = alices.open("backup-delete", backup.name).content
    assert b"the last backup of" not in content
    assert b"another" in content


def test_what_somebody_restores_from_is_not_deleted(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING)
    assert 'id="do-delete"' not in shown(alices, backup)
    answer = alices.send("backup-delete", backup.name, typed_name="nightly")
    assert answer.status_code == 409
    assert job.task.task_id in answer.content.decode()


def test_who_would_delete_what_somebody_restores_from_is_told_before(
    backup: Backup, alices: Browser
) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.RUNNING)
    content = alices.open("backup-delete", backup.name).content.decode()
    assert alices.address("job-detail", job.task.task_id) in content
    assert "typed_name" not in content


def test_it_shows_how_long_each_phase_of_its_creation_took(backup: Backup, alices: Browser) -> None:
    task = seed_job(backup, row_count=500).task
    begin = task.created_at
    for seconds, phase in ((1, "pinning"), (2, "copying")):
        at = begin + timedelta(seconds=seconds)
        event = TaskEvent.objects.create(
            task=task, epoch=1, state="RUNNING", progress=0, phase=phase
        )
        TaskEvent.objects.filter(pk=event.pk).update(at=at)
    Task.objects.filter(pk=task.pk).update(finished_at=begin + timedelta(seconds=12), epoch=1)
    context = alices.open("backup-detail", backup.name).context
    spans = [(span.name, span.duration, span.rows_per_second) for span in context["timeline"].spans]
    assert spans == [
        ("waiting", "1 s", None),
        ("pinning", "1 s", None),
        ("copying", "10 s", 50),
    ]


def test_its_story_is_that_of_all_its_jobs(backup: Backup, alices: Browser) -> None:
    seed_job(backup)
    seed_job(backup, JobKind.VERIFY)
    seed_job(backup, JobKind.RESTORE, TaskState.FAILED)
    story = alices.open("backup-detail", backup.name).context["story"]
    assert [step.task.kind for step in story] == ["BACKUP", "VERIFY", "RESTORE"]


def test_the_deployment_of_a_new_cluster_comes_before_the_restore_into_it(
    backup: Backup, make_cluster: Callable[..., Cluster], alices: Browser
) -> None:
    copy = make_cluster("copy")
    job = seed_job(backup, JobKind.RESTORE, cluster=copy)
    BackupJob.objects.filter(pk=job.pk).update(options={FILLS_NEW_CLUSTER: True})
    story = alices.open("backup-detail", backup.name).context["story"]
    assert [step.task.kind for step in story] == ["DEPLOYMENT", "RESTORE"]
    assert {step.target.name for step in story} == {"copy"}
