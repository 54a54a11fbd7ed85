"""One policy's page: its runs, what stays of them, and what can be asked of it by whom."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from backups.models import Backup, BackupJob
from backups.policies import services
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.services.backups import set_pinned
from clusters.models import Cluster
from tests.policies.conftest import MakePolicy, end
from tests.policies.pages import back_up, newest_run, skip, skip_often
from tests.policies.test_page_form import last_entry, shown
from tests.web.conftest import Browser, alices, bobs, browser_of, charlies, olgas
from vbase_console.tasks.models import Task

__all__ = ["alices", "bobs", "browser_of", "charlies", "olgas"]
VERDICT = re.compile(r'badge-\w+">(Kept|Will be deleted)</span></td>\s*<td>([^<]*)</td>')


def test_it_says_all_that_there_is_to_know(make_policy: MakePolicy, alices: Browser) -> None:
    policy = make_policy(timezone="Europe/Berlin", collection_names=["images"], on_missing="WARN")
    content = shown(alices.open("policy-detail", policy.pk))
    said = ("At 03:00 every day", "0 3 * * *", "Europe/Berlin", "images", "the newest 2 complete")
    for text in (*said, "the backup is incomplete", policy.pk, "No good backup yet"):
        assert text in content
    assert content.count("<td>") >= 5  # the next runs


def test_it_states_until_when_the_next_backup_is_expected(
    make_policy: MakePolicy, alices: Browser
) -> None:
    policy = make_policy(schedule_cron="0 3 * * *")
    BackupPolicy.objects.update(created_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    content = shown(alices.open("policy-detail", policy.pk))
    due = content.partition('id="term-backup-due"')[2].partition("</dd>")[0]
    assert "2 Mar 2026, 05:00" in due  # two hours after the run at 03:00
    assert "Overdue" in due


def test_one_kept_backup_is_not_counted(make_policy: MakePolicy, alices: Browser) -> None:
    policy = make_policy(retention_count=1)
    assert "the newest complete backup" in shown(alices.open("policy-detail", policy.pk))


def test_a_policy_in_utc_has_one_column_of_runs(policy: BackupPolicy, alices: Browser) -> None:
    content = shown(alices.open("policy-detail", policy.pk))
    assert '<th scope="col" data-own-zone hidden>' in content
    assert '<td class="time" hidden>' in content


def test_each_backup_has_retentions_verdict_and_its_reason(
    policy: BackupPolicy, alices: Browser
) -> None:
    pinned = back_up(policy)
    for _ in range(3):
        back_up(policy)
    set_pinned(pinned, pinned=True)
    newest_first = VERDICT.findall(shown(alices.open("policy-detail", policy.pk)))
    expected = [("Kept", "newest 2")] * 2 + [("Will be deleted", "3rd newest"), ("Kept", "pinned")]
    assert newest_first == expected


def test_a_failed_run_is_said_on_top_and_in_its_place(
    policy: BackupPolicy, alices: Browser
) -> None:
    back_up(policy, state="FAILED")
    Task.objects.filter(backup_job__policy_id=policy.pk).update(message="Nobody answered.")
    content = shown(alices.open("policy-detail", policy.pk))
    assert "The last run failed: Nobody answered." in content
    assert content.count("Nobody answered.") == 4  # and in the strip, twice


def test_it_says_why_runs_are_skipped_for_now(policy: BackupPolicy, alices: Browser) -> None:
    Cluster.objects.update(status="STOPPED", wanted_running=False, condition="STOPPED")
    content = shown(alices.open("policy-detail", policy.pk))
    assert "Runs are skipped for now" in content
    assert 'id="do-run"' not in content


def test_a_run_that_goes_on_is_shown_and_polled_until_it_ends(
    policy: BackupPolicy, alices: Browser
) -> None:
    job = services.run_now(policy, by="alice")
    Task.objects.filter(pk=job.task_id).update(state="RUNNING", progress=40, phase="copying")
    going = shown(alices.open("policy-detail", policy.pk))
    assert "40 %" in going
    assert ' data-busy=""' in going
    end(PolicyRun.objects.get())
    assert ' data-busy=""' not in shown(alices.open("policy-detail", policy.pk))


def test_the_backups_ride_along_only_when_a_run_has_moved_on(
    policy: BackupPolicy, alices: Browser
) -> None:
    services.run_now(policy, by="alice")
    going = shown(alices.open("policy-detail", policy.pk))
    assert sent(alices, policy, going) == {}
    end(PolicyRun.objects.get())
    ended = sent(alices, policy, going)
    assert "policy-backups" in ended
    assert "At 03:00 every day: Good." in ended["spoken"]


def sent(browser: Browser, policy: BackupPolicy, content: str) -> dict[str, str]:
    """The parts that an open page is sent, with the marks that it has."""
    marks = re.findall(r'\sid="([\w-]+)" data-live="([\w.]+)"', content)
    headers = {"Live-Parts": ",".join(f"{name}={mark}" for name, mark in marks)}
    address = browser.address("policy-detail", policy.pk)
    parts: dict[str, str] = browser.client.get(address, headers=headers).json()["parts"]
    return parts


def test_all_runs_are_paged_and_filtered(policy: BackupPolicy, alices: Browser) -> None:
    skip_often(policy, 60)
    back_up(policy)
    first = shown(alices.open("policy-runs", policy.pk))
    assert "1 to 50 of 61" in first
    assert "1 to 50 of 60" in shown(alices.open("policy-runs", policy.pk, status="SKIPPED"))
    only = shown(alices.open("policy-runs", policy.pk, status="SUCCEEDED"))
    assert len(re.findall(r'<tr id="run-', only)) == 1


def planned(policy: BackupPolicy, *times: datetime) -> None:
    for at in times:
        run = skip(policy)
        PolicyRun.objects.filter(pk=run.pk).update(planned_at=at)


def test_the_runs_of_a_day_are_those_of_the_policys_zone(
    policy: BackupPolicy, alices: Browser
) -> None:
    BackupPolicy.objects.update(timezone="Asia/Tokyo")
    evening = datetime(2026, 3, 1, 20, tzinfo=UTC)  # the second of March in Tokyo
    planned(policy, evening, evening - timedelta(hours=8))
    listed = alices.open("policy-runs", policy.pk, day="2026-03-02").context["rows"]
    assert [run.planned_at for run in listed] == [evening]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "soon"])
def test_a_day_that_cannot_be_shown_is_an_error_of_the_field(
    policy: BackupPolicy, alices: Browser, day: str
) -> None:
    planned(policy, timezone.now())
    content = shown(alices.open("policy-runs", policy.pk, day=day))
    assert 'id="id_day_error"' in content
    assert "run-" in content


def test_a_missed_day_names_its_cause(policy: BackupPolicy, alices: Browser) -> None:
    own = {"organization_id": policy.organization_id, "policy": policy}
    PolicyDay.objects.create(**own, day=date(2026, 3, 2), has_gap=True)
    content = shown(alices.open("policy-runs", policy.pk, day="2026-03-02"))
    assert "Runs planned for this day were missed" in content


def test_all_backups_are_paged(policy: BackupPolicy, alices: Browser) -> None:
    facts = {"organization_id": policy.organization_id, "cluster": policy.cluster}
    Backup.objects.bulk_create(
        Backup(name=f"b{n}", db_name="default", status="AVAILABLE", manifest_sha256="0" * 64,
               policy_id=policy.pk, **facts)
        for n in range(60)
    )  # fmt: skip
    assert "All 60 backups" in shown(alices.open("policy-detail", policy.pk))
    page = shown(alices.open("policy-backups", policy.pk, page=2))
    assert len(VERDICT.findall(page)) == 10


def test_all_backups_are_narrowed_by_name_and_by_what_becomes_of_them_and_sorted(
    policy: BackupPolicy, alices: Browser
) -> None:
    for number in range(4):
        backup = back_up(policy)
        Backup.objects.filter(pk=backup.pk).update(name=f"b{number}", row_count=number)

    def names(**asked: str) -> list[str]:
        page = shown(alices.open("policy-backups", policy.pk, **asked))
        return re.findall(r'<th scope="row"><a href="[^"]*">(b\d)</a>', page)

    assert names() == ["b3", "b2", "b1", "b0"]
    assert names(fate="EXPIRE") == ["b1", "b0"]
    assert names(fate="KEEP", sort="name") == ["b2", "b3"]
    assert names(q="B1") == ["b1"]
    assert names(sort="row_count") == ["b0", "b1", "b2", "b3"]
    assert "No backup matches" in shown(alices.open("policy-backups", policy.pk, q="none"))


def test_it_is_paused_and_resumed(policy: BackupPolicy, alices: Browser) -> None:
    alices.send("policy-pause", policy.pk)
    assert last_entry() == ("PauseBackupPolicy", "ACCEPTED", policy.pk)
    paused = shown(alices.open("policy-detail", policy.pk))
    assert "none while the policy is paused" in paused
    assert 'id="do-resume"' in paused
    alices.send("policy-resume", policy.pk)
    policy.refresh_from_db()
    assert policy.next_run_at is not None


def test_it_is_run_now_once_at_a_time(policy: BackupPolicy, alices: Browser) -> None:
    assert alices.send("policy-run", policy.pk).url == alices.address("policy-detail", policy.pk)
    assert last_entry() == ("RunBackupPolicy", "ACCEPTED", policy.pk)
    again = alices.send("policy-run", policy.pk)
    assert again.status_code == 409
    assert "of the same policy is still running" in shown(again)
    assert BackupJob.objects.count() == 1


def test_deleting_says_which_backups_stay_and_they_do(
    policy: BackupPolicy, alices: Browser
) -> None:
    backup = back_up(policy)
    asked = shown(alices.open("policy-delete", policy.pk))
    assert backup.name in asked
    assert "Existing backups are kept" in asked
    assert alices.send("policy-delete", policy.pk).url == alices.address("policy-list")
    assert not BackupPolicy.objects.exists()
    assert Backup.objects.get().status == "AVAILABLE"


def test_every_change_can_be_asked_for_on_a_page_of_its_own(
    policy: BackupPolicy, alices: Browser
) -> None:
    for name in ("run", "pause", "resume", "delete"):
        assert b'method="post"' in alices.open(f"policy-{name}", policy.pk).content


@pytest.mark.parametrize("name", ["run", "pause", "resume", "delete"])
def test_a_viewer_sees_no_control_and_is_refused(
    policy: BackupPolicy, bobs: Browser, name: str
) -> None:
    content = shown(bobs.open("policy-detail", policy.pk))
    assert f"/{name}" not in content.replace("/runs", "")
    assert bobs.open(f"policy-{name}", policy.pk).status_code == 403
    assert bobs.send(f"policy-{name}", policy.pk).status_code == 403


def test_an_operator_deletes_none(policy: BackupPolicy, olgas: Browser) -> None:
    content = shown(olgas.open("policy-detail", policy.pk))
    assert 'id="do-run"' in content
    assert 'id="do-delete"' not in content
    assert olgas.send("policy-delete", policy.pk).status_code == 403


@pytest.mark.parametrize("name", ["detail", "runs", "backups", "delete"])
def test_a_stranger_finds_nothing(policy: BackupPolicy, charlies: Browser, name: str) -> None:
    assert charlies.open(f"policy-{name}", policy.pk).status_code == 404
    charlies.organization = "other"
    assert charlies.open(f"policy-{name}", policy.pk).status_code == 404


def test_a_deleted_clusters_policy_can_still_be_read_and_deleted(
    policy: BackupPolicy, alices: Browser
) -> None:
    skip(policy)
    Cluster.objects.update(status="DELETED", condition="GONE", wanted_running=False)
    BackupPolicy.objects.update(is_active=False, next_run_at=None)
    content = shown(alices.open("policy-detail", policy.pk))
    assert re.findall(r'id="do-(\w+)"', content) == ["delete"]


def test_a_run_whose_backup_is_gone_says_so(policy: BackupPolicy, alices: Browser) -> None:
    backup = back_up(policy)
    Backup.objects.filter(pk=backup.pk).update(status="GONE")
    content = shown(alices.open("policy-runs", policy.pk))
    assert f"{backup.name}, since deleted" in content
    assert newest_run(policy).job_id is not None


def test_a_job_leads_back_to_its_policy(policy: BackupPolicy, alices: Browser) -> None:
    task = services.run_now(policy, by="alice").task
    address = alices.address("policy-detail", policy.pk)
    assert address in shown(alices.open("job-detail", task.task_id))
    services.delete_policy(policy)
    assert address not in shown(alices.open("job-detail", task.task_id))
