"""Pictures on a policy's page: its latest runs, and what retention keeps."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.policies.views.pictures import retention_timeline_of
from backups.policies.views.presenters import backups_with_decisions
from tests.policies.pages import back_up, skip
from tests.web.conftest import Browser, alices, browser_of
from vbase_console.tasks.models import Task

__all__ = ["alices", "browser_of"]


def test_a_run_is_a_column_as_high_as_it_took(policy: BackupPolicy, alices: Browser) -> None:
    for seconds in (10, 20):
        backup = back_up(policy)
        task = Task.objects.filter(subject_id=backup.pk)
        started_at = timezone.now()
        task.update(started_at=started_at, finished_at=started_at + timedelta(seconds=seconds))
    short, long = alices.open("policy-detail", policy.pk).context["charts"].duration.bars
    assert abs(long.height - 2 * short.height) < 0.2


def test_a_skipped_run_is_a_gap(policy: BackupPolicy, alices: Browser) -> None:
    backup = back_up(policy)
    now = timezone.now()
    task = Task.objects.filter(subject_id=backup.pk)
    task.update(started_at=now, finished_at=now + timedelta(seconds=9))
    skip(policy)
    bars = alices.open("policy-detail", policy.pk).context["charts"].duration.bars
    assert [bar.height > 0 for bar in bars] == [True, False]


def test_a_policy_without_runs_has_no_picture(policy: BackupPolicy, alices: Browser) -> None:
    context = alices.open("policy-detail", policy.pk).context
    assert (context["charts"], context["timeline"]) == (None, None)


def test_the_time_line_tells_kept_backups_from_those_that_are_deleted_next(
    policy: BackupPolicy,
) -> None:
    now = timezone.now()
    for days in (3, 2, 1):
        made = back_up(policy)
        Backup.objects.filter(pk=made.pk).update(created_at=now - timedelta(days=days))
    timeline = retention_timeline_of(backups_with_decisions(policy), now)
    assert timeline is not None
    looks = [segment.css_class for segment in sorted(timeline.segments, key=lambda s: s.x)]
    assert looks == ["bar-still", "bar-good", "bar-good"]
    assert timeline.kept_count == 2


def test_it_tells_what_there_would_be_on_a_day(policy: BackupPolicy, alices: Browser) -> None:
    day = (timezone.now() + timedelta(days=30)).date().isoformat()
    page = alices.open("policy-detail", policy.pk, on=day).content.decode()
    said = page.partition('id="projection"')[2]
    assert "<strong>2 backups</strong>" in said


def test_a_day_that_is_none_is_not_answered(policy: BackupPolicy, alices: Browser) -> None:
    assert b'id="projection"' not in alices.open("policy-detail", policy.pk, on="soon").content
