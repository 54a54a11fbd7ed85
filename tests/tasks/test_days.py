"""Numbers of the tasks that ended on each day: kept of those that are over, counted of today."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import days
from vbase_console.tasks.models import Task, TaskDay
from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState
from vbase_console.tasks.sweeps import sweep_housekeeping

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = NOON.date()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def end(organization: Organization, at: datetime, **facts: object) -> Task:
    """A task that ended at a time."""
    number = Task.objects.count()
    given = {"state": TaskState.SUCCEEDED, "finished_at": at, "progress": 100} | facts
    own = {"organization": organization, "task_id": f"task-{number}", "kind": "RESTART"}
    return Task.objects.create(**own, **given)


def numbers(principal: Principal, day: object) -> dict[str, int]:
    counts = days.counts_of(principal, [TASK_ID_PREFIX])
    return {state.lower(): number for state, number in counts[day].items() if number}  # type: ignore[index]


def test_a_day_has_the_numbers_of_each_result(
    organization: Organization, principal: Principal
) -> None:
    for state in (TaskState.SUCCEEDED, TaskState.SUCCEEDED, TaskState.FAILED):
        end(organization, NOON, state=state)
    assert numbers(principal, TODAY) == {"succeeded": 2, "failed": 1}


def test_a_kept_day_has_the_numbers_that_its_tasks_had(
    organization: Organization, principal: Principal
) -> None:
    end(organization, NOON - timedelta(days=1), state=TaskState.CANCELLED)
    end(organization, NOON)
    before = numbers(principal, YESTERDAY)
    sweep_housekeeping()
    assert TaskDay.objects.get(day=YESTERDAY).cancelled == 1
    assert before == numbers(principal, YESTERDAY) == {"cancelled": 1}
    assert numbers(principal, TODAY) == {"succeeded": 1}


def test_a_page_reads_the_tasks_of_days_that_are_not_kept_alone(
    organization: Organization, principal: Principal
) -> None:
    days.keep_days()
    with CaptureQueriesContext(connection) as captured:
        days.counts_of(principal, [TASK_ID_PREFIX])
    assert str(TODAY) in captured.captured_queries[-1]["sql"]
    assert len(captured) == 2


def test_days_on_which_the_console_was_off_are_kept_as_empty(
    organization: Organization, principal: Principal
) -> None:
    end(organization, NOON - timedelta(days=4))
    days.keep_days_of(organization.pk)
    TaskDay.objects.filter(day__gt=TODAY - timedelta(days=4)).delete()
    days.keep_days()
    assert numbers(principal, TODAY - timedelta(days=4)) == {"succeeded": 1}
    assert numbers(principal, TODAY - timedelta(days=2)) == {}
    assert TaskDay.objects.latest("day").day == YESTERDAY


def test_a_task_that_ended_on_a_kept_day_after_the_clock_was_set_back_is_counted_with_the_next_day(
    organization: Organization, principal: Principal
) -> None:
    days.keep_days_of(organization.pk)
    TaskDay.objects.update(day=YESTERDAY - timedelta(days=1))
    end(organization, NOON - timedelta(days=2))
    days.keep_days()
    assert numbers(principal, YESTERDAY - timedelta(days=1)) == {"succeeded": 1}


def test_the_last_and_first_instant_of_a_day_are_its_own(
    organization: Organization, principal: Principal
) -> None:
    midnight = NOON.replace(hour=0)
    end(organization, midnight)
    end(organization, midnight - timedelta(microseconds=1))
    days.keep_days()
    assert numbers(principal, TODAY) == numbers(principal, YESTERDAY) == {"succeeded": 1}
    assert Task.objects.filter(days.ended_on(TODAY)).count() == 1


def test_an_unfinished_task_and_one_of_another_prefix_are_not_counted(
    organization: Organization, principal: Principal
) -> None:
    end(organization, NOON, finished_at=None, state=TaskState.RUNNING)
    end(organization, NOON, id_prefix="job")
    assert numbers(principal, TODAY) == {}


def test_days_older_than_the_picture_are_removed(organization: Organization) -> None:
    old = TODAY - timedelta(days=days.SHOWN_DAYS + 1)
    TaskDay.objects.create(organization=organization, day=old, id_prefix="task", failed=1)
    days.keep_days()
    assert not TaskDay.objects.filter(day=old).exists()


def test_the_numbers_of_others_are_not_counted(
    organization: Organization, principal: Principal
) -> None:
    other = Organization.objects.create(name="strangers")
    end(other, timezone.now())
    end(other, NOON - timedelta(days=1))
    days.keep_days()
    assert numbers(principal, TODAY) == numbers(principal, YESTERDAY) == {}
