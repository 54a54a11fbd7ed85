"""The wizard, with a target that is made up; tests/backups/test_pages.py asks a real one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from backups.models import Backup, BackupJob
from backups.restore.access_plan import AccessPlan
from backups.restore.preflight import CollectionPlan, Preflight
from backups.services import restores
from backups.states import BackupStatus, JobKind
from backups.stores.base import Store, put
from clusters import services as clusters
from clusters.models import Cluster
from tests.backups.seeds import seed_job
from tests.web.conftest import Browser
from vbase_console.organizations.models import AuditEntry
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

Find = Callable[..., None]
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)"[^>]* id=')
STEP = CollectionPlan(
    source="images", target="images", rows=500, bytes=20_480, replaces=False, aliases=()
)


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Find:
    """A target in which looking ahead finds this."""

    def find(*steps: CollectionPlan, **fields: Any) -> None:
        nothing: dict[str, Any] = {"conflicts": (), "refusals": (), "warnings": (), "notes": ()}
        about = {
            "db_name": "default",
            "creates_database": False,
            "proves": True,
            "required_bytes": 300 * 2**20,
            "free_bytes": None,
            "access": AccessPlan(),
            "steps": steps or (STEP,),
        }
        found = Preflight(**{**nothing, **about, **fields})
        monkeypatch.setattr(restores, "_run_preflight", lambda *_: found)

    return find


def wish(cluster: Cluster, **fields: Any) -> dict[str, Any]:
    given = {"target": cluster.pk, "db_name": "default", "collection_names": ["images"]}
    return {**given, "on_conflict": "FAIL", **fields}


def test_it_asks_where_to_and_what(backup: Backup, alices: Browser) -> None:
    content = alices.open("backup-restore", backup.name).content.decode()
    assert f'<option value="{backup.cluster.pk}" selected>vectors' in content
    assert "500 rows" in content
    assert 'value="FAIL"' in content


def test_it_begins_beside_existing_collections(backup: Backup, alices: Browser) -> None:
    form = alices.open("backup-restore", backup.name).context["form"]
    assert (form["on_conflict"].value(), form["suffix"].value()) == ("RENAME", "_restored")


def test_options_check_and_result_are_three_steps(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find()
    options = alices.open("backup-restore", backup.name).content
    check = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content
    job = seed_job(backup, JobKind.RESTORE)
    result = alices.open("job-detail", job.task.task_id).content
    assert b'<li aria-current="step">1. Options' in options
    assert b'<li aria-current="step">2. Check' in check
    assert b'<li aria-current="step">3. Result' in result


def test_the_result_names_rows_that_were_only_counted(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.RESTORE)
    plan = [dataclasses.asdict(STEP), dataclasses.asdict(STEP) | {"source": "texts", "rows": 7}]
    checkpoint = {"plan": plan, "identical": ["images"], "proves": False}
    Task.objects.filter(pk=job.pk).update(checkpoint=checkpoint)
    content = alices.open("job-detail", job.task.task_id).content.decode()
    assert "507 of 507 rows restored,</strong> 500 of them compared and identical" in content
    assert "restore-tested" not in content


def test_a_failed_restore_has_no_result(backup: Backup, alices: Browser) -> None:
    job = seed_job(backup, JobKind.RESTORE, TaskState.FAILED)
    assert alices.open("job-detail", job.task.task_id).context["result"] is None


def test_another_name_has_an_end_to_begin_with(backup: Backup, alices: Browser) -> None:
    content = alices.open("backup-restore", backup.name).content.decode()
    assert 'name="suffix" value="_restored"' in content
    assert "(optional)" not in content


def test_none_are_ticked_and_what_was_typed_stays(backup: Backup, alices: Browser) -> None:
    given = wish(backup.cluster, db_name="films", tick="none")
    content = alices.send("restore-tick", backup.name, **given).content.decode()
    assert 'value="films"' in content
    assert not re.search(r'name="collection_names"[^>]* checked', content)


def test_only_clusters_that_run_are_offered(
    backup: Backup, make_cluster: Callable[..., Cluster], alices: Browser
) -> None:
    make_cluster("runs")
    make_cluster("comes", running=False)
    targets = alices.open("backup-restore", backup.name).context["targets"]
    assert [cluster.name for cluster in targets] == ["runs", "vectors"]


def test_it_says_when_nothing_runs(
    backup: Backup, alices: Browser, work: Callable[[], int]
) -> None:
    clusters.stop_cluster(backup.cluster, by="alice")
    work()
    assert b"No cluster of acme is running" in alices.open("backup-restore", backup.name).content


def test_it_shows_what_would_happen_before_it_asks(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find(warnings=("It forgets names.",), creates_database=True)
    answer = alices.send("backup-restore", backup.name, **wish(backup.cluster))
    content = answer.content.decode()
    assert answer.status_code == 200
    assert "Preview: restore into vectors" in content
    assert "It forgets names." in content
    assert "is created." in content
    assert not BackupJob.objects.exists()


def test_it_shows_how_much_room_there_is(backup: Backup, alices: Browser, find: Find) -> None:
    find(free_bytes=5 * 2**30, notes=("It is of another version.",))
    html = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content.decode()
    content = re.sub(r"<span[^>]*>|</span>", "", html)
    assert "The restore temporarily needs about 300.0\xa0MB; vectors has 5.0\xa0GB free." in content
    assert "It is of another version." in content


def test_the_confirmation_asks_for_what_was_looked_at(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find()
    seen = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content.decode()
    hidden = dict(HIDDEN.findall(seen))
    answer = alices.send("backup-restore-confirm", backup.name, **hidden)
    job = BackupJob.objects.get()
    assert answer.url.endswith(job.task.task_id)
    assert (job.collection_names, job.db_name) == (["images"], "default")


def test_history_names_the_target_as_the_api_does_and_not_the_preview_restore(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find()
    alices.send("backup-restore", backup.name, **wish(backup.cluster))
    alices.send("backup-restore-confirm", backup.name, **wish(backup.cluster))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id) == ("RestoreBackup", backup.cluster.service_id)


def test_a_conflict_is_shown_and_nothing_can_be_confirmed(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find(conflicts=("'images' is a collection.",))
    content = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content.decode()
    assert "This restore is not possible" in content
    assert "is a collection." in content
    assert alices.address("backup-restore-confirm", backup.name) not in content


def test_a_conflict_that_came_meanwhile_is_said_in_the_form(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find(conflicts=("It came meanwhile.",))
    answer = alices.send("backup-restore-confirm", backup.name, **wish(backup.cluster))
    assert answer.status_code == 409
    assert b"It came meanwhile." in answer.content
    assert b"Preview restore" in answer.content


def test_what_is_replaced_is_said_to_be_lost(backup: Backup, alices: Browser, find: Find) -> None:
    find(CollectionPlan(source="a", target="a", rows=1, bytes=1, replaces=True, aliases=("b",)))
    given = wish(backup.cluster, on_conflict="REPLACE")
    content = alices.send("backup-restore", backup.name, **given).content.decode()
    assert "The current data of 1 collection is lost. This cannot be undone." in content
    assert "the current rows, indexes and schema of a</li>" in content
    assert "their aliases" in content.partition("<h2>Kept</h2>")[2]
    assert "Overwrite and restore" in content


def test_it_says_behind_what_it_waits(backup: Backup, alices: Browser, find: Find) -> None:
    find(proves=False)
    task = clusters.restart_cluster(backup.cluster, by="alice")
    content = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content.decode()
    assert task.task_id in content
    assert "This restore does not count as a test of the backup" in content


def test_a_backup_that_only_copies_holds_nobody_up(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find()
    job = seed_job(backup, state=TaskState.RUNNING)
    Task.objects.filter(pk=job.pk).update(lock=backup.cluster.lock, holds_lock=False)
    content = alices.send("backup-restore", backup.name, **wish(backup.cluster)).content.decode()
    assert "The restore waits for" not in content


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"on_conflict": "RENAME", "suffix": ""}, b"Enter a suffix for the new names"),
        ({"on_conflict": "RENAME", "suffix": "no spaces"}, b"Use 1 to 64 letters"),
        ({"collection_names": []}, b"Select at least one collection."),
        ({"target": "vc-elsewhere"}, b"is not one of the available choices"),
    ],
)
def test_what_is_wrong_is_said_in_the_form(
    backup: Backup, alices: Browser, find: Find, fields: dict[str, Any], said: bytes
) -> None:
    find()
    answer = alices.send("backup-restore", backup.name, **wish(backup.cluster, **fields))
    assert answer.status_code == 422
    assert said in answer.content


def test_a_suffix_that_counts_for_nothing_is_left_out(
    backup: Backup, alices: Browser, find: Find
) -> None:
    find()
    answer = alices.send("backup-restore", backup.name, **wish(backup.cluster, suffix="_again"))
    assert answer.status_code == 200


def test_a_target_that_does_not_answer_is_said_in_the_form(sealed: Backup, alices: Browser) -> None:
    answer = alices.send("backup-restore", sealed.name, **wish(sealed.cluster))
    assert answer.status_code == 503
    assert b"has no running server" in answer.content
    assert b"Preview restore" in answer.content


def test_a_damaged_backup_is_said_in_the_form(
    backup: Backup, store: Store, alices: Browser
) -> None:
    put(store, "another/backup", b"the store is there")
    answer = alices.send("backup-restore", backup.name, **wish(backup.cluster))
    assert answer.status_code == 400
    assert b"Verify it" in answer.content


def test_a_cluster_of_others_is_no_target(
    backup: Backup, make_cluster: Callable[..., Cluster], charlies: Browser
) -> None:
    charlies.organization = "other"
    answer = charlies.send("backup-restore", backup.name, **wish(backup.cluster))
    assert answer.status_code == 404


def test_a_backup_that_is_not_there_yet_says_so(backup: Backup, alices: Browser) -> None:
    Backup.objects.update(status=BackupStatus.CREATING)
    answer = alices.open("backup-restore", backup.name)
    assert b"Only an available backup can be restored" in answer.content
    assert alices.send("backup-restore", backup.name).status_code == 409


def test_the_way_back_remembers_the_choice(backup: Backup, alices: Browser, find: Find) -> None:
    find()
    given = wish(backup.cluster, on_conflict="REPLACE", db_name="films")
    back = alices.send("backup-restore", backup.name, **given).context["back"]
    form = alices.client.get(back).context["form"]
    assert (form["db_name"].value(), form["on_conflict"].value()) == ("films", "REPLACE")


def test_the_confirmation_is_no_page_of_its_own(backup: Backup, alices: Browser) -> None:
    answer = alices.open("backup-restore-confirm", backup.name)
    assert answer.url == alices.address("backup-restore", backup.name)
