"""Sessions and sign-ins do not pile up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from vbase_console.celery import app
from vbase_console.organizations.sweeps import sweep_sign_ins

pytestmark = pytest.mark.django_db


def test_sessions_that_have_ended_go_and_the_others_stay() -> None:
    for name, days in (("ended", -1), ("living", 1)):
        expires = timezone.now() + timedelta(days=days)
        Session.objects.create(session_key=name, session_data="", expire_date=expires)
    assert sweep_sign_ins() == 1
    assert [session.session_key for session in Session.objects.all()] == ["living"]


def test_the_log_of_sign_ins_is_kept_as_long_as_the_setting_says(settings: object) -> None:
    for name, days in (("old", 8), ("new", 6)):
        entry = AccessLog.objects.create(username=name, path_info="/sign-in")
        AccessLog.objects.filter(pk=entry.pk).update(
            attempt_time=timezone.now() - timedelta(days=days)
        )
    settings.SIGN_IN_HISTORY_DAYS = 7  # type: ignore[attr-defined]
    assert sweep_sign_ins() == 1
    assert [entry.username for entry in AccessLog.objects.all()] == ["new"]


def test_the_beat_wakes_it() -> None:
    app.loader.import_default_modules()
    assert sweep_sign_ins.name in set(app.tasks) & set(settings.CELERY_BEAT_SCHEDULE)
