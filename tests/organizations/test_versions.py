"""A change raises the version of its organization after the commit, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.models import Cluster
from clusters.services import restart_cluster
from vbase_console.organizations import versions
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Organization, OrganizationVersion
from vbase_console.organizations.tenancy import Version
from vbase_console.organizations.versions import changed, raise_version
from vbase_console.tasks.attempts import claim

pytestmark = pytest.mark.django_db(transaction=True)


def age(organization: Organization, seconds: float) -> None:
    at = timezone.now() - timedelta(seconds=seconds)
    OrganizationVersion.objects.filter(pk=organization.pk).update(changed_at=at)


def version_for(user: User) -> Version:
    return principal_of_member(user, "acme").version


def number(organization: Organization) -> int:
    return OrganizationVersion.objects.get(pk=organization.pk).number


def test_an_organization_without_a_change_has_a_settled_version(
    organization: Organization, alice: User
) -> None:
    assert version_for(alice) == Version(number=0, is_settled=True)


def test_a_version_that_cannot_be_raised_does_not_disturb_the_change(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise DatabaseError("The disk is full.")

    monkeypatch.setattr(versions, "raise_version", fail)
    changed(organization.pk)
    assert "The disk is full." in caplog.text


def test_it_is_raised_by_the_commit_and_not_before(organization: Organization) -> None:
    with transaction.atomic():
        changed(organization.pk)
        assert not OrganizationVersion.objects.exists()
    assert number(organization) == 1


def test_a_rolled_back_change_raises_nothing(organization: Organization) -> None:
    with transaction.atomic():
        changed(organization.pk)
        transaction.set_rollback(True)
    assert not OrganizationVersion.objects.exists()


def test_it_is_raised_once_a_second_and_is_unsettled_meanwhile(
    organization: Organization, alice: User
) -> None:
    raise_version(organization.pk)
    raise_version(organization.pk)
    assert version_for(alice) == Version(number=1, is_settled=False)


def test_it_is_raised_again_after_a_second(organization: Organization) -> None:
    raise_version(organization.pk)
    age(organization, 1.5)
    raise_version(organization.pk)
    assert number(organization) == 2


def test_it_settles_after_every_change_without_a_raise(
    organization: Organization, alice: User
) -> None:
    raise_version(organization.pk)
    age(organization, 3)
    assert version_for(alice) == Version(number=1, is_settled=True)


def test_a_change_within_the_second_writes_nothing(organization: Organization) -> None:
    raise_version(organization.pk)
    with CaptureQueriesContext(connection) as captured:
        raise_version(organization.pk)
    assert [query["sql"][:6] for query in captured.captured_queries] == ["SELECT"]


def test_a_clock_that_was_set_back_does_not_stop_it(organization: Organization) -> None:
    raise_version(organization.pk)
    age(organization, -3600)
    raise_version(organization.pk)
    assert number(organization) == 2


def test_many_writers_raise_it_once(organization: Organization) -> None:
    raise_version(organization.pk)
    age(organization, 10)
    start, begun = threading.Barrier(6), time.monotonic()

    def write() -> None:
        start.wait()
        raise_version(organization.pk)
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seconds = int(time.monotonic() - begun)
    assert 2 <= number(organization) <= 2 + seconds


def test_progress_and_phases_do_not_raise_it(
    organization: Organization, make_cluster: Callable[..., Cluster]
) -> None:
    task = restart_cluster(make_cluster(), by="alice")
    attempt: Any = claim(task.task_id, worker="test")
    age(organization, 10)
    before = number(organization)
    attempt.report(10, "stopping", "Stopping.")
    attempt.report(50, "starting", "Starting.")
    assert number(organization) == before


def test_a_task_raises_it_when_it_is_accepted_started_and_ended(
    organization: Organization, make_cluster: Callable[..., Cluster], work: Callable[[], int]
) -> None:
    cluster = make_cluster()
    age(organization, 10)
    before = number(organization)
    task = restart_cluster(cluster, by="alice")
    age(organization, 10)
    attempt: Any = claim(task.task_id, worker="test")
    age(organization, 10)
    attempt.succeed()
    assert number(organization) == before + 3
