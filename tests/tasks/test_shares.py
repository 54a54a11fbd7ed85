"""One organization never occupies all workers beside another, and their tasks run in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from tests.tasks.test_wake import heard, unmuted
from tests.tasks.together import together
from tests.tasks.trials import KIND, Trial, again, begun, end_lease, end_pause
from vbase_console.organizations.models import Organization
from vbase_console.tasks import services, sweeps
from vbase_console.tasks.attempts import claim
from vbase_console.tasks.broker import broker
from vbase_console.tasks.models import Heartbeat, Task, database_time_in
from vbase_console.tasks.shares import HEALING_PRIORITY, share_limit
from vbase_console.tasks.sweeps import beat_of, sweep_tasks
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]


@pytest.fixture(autouse=True)
def _leases_outlast_a_busy_machine(settings: Any) -> None:
    settings.LEASE_SECONDS = 3600


@pytest.fixture
def ask_other(ask: Ask, charlie: User) -> Ask:
    """Accept a trial of Charlie's organization."""
    other = Organization.objects.get(name="other")

    def ask_other(**fields: object) -> Task:
        given = {"kind": KIND, "subject_id": "it"} | fields
        return services.enqueue(organization_id=other.pk, **given)  # type: ignore[arg-type]

    return ask_other


@pytest.fixture
def shared(ask_other: Ask) -> Task:
    """A task of another organization: from now on both have a share, two of four places."""
    return ask_other()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queue of a broker, the oldest message first."""
    queue: list[str] = []
    unmuted(monkeypatch)
    monkeypatch.setattr(broker, "send", lambda task_id: queue.append(task_id) or True)
    monkeypatch.setattr(broker, "backlog", lambda: 0)
    return queue


def starts(task: Task) -> bool:
    return claim(task.task_id, worker="w") is not None


def test_an_organization_alone_may_occupy_every_worker(ask: Ask) -> None:
    assert all(starts(ask()) for _ in range(2 * settings.WORKER_CONCURRENCY))


def test_an_organization_without_tasks_costs_another_no_worker(ask: Ask, charlie: User) -> None:
    assert all(starts(ask()) for _ in range(settings.WORKER_CONCURRENCY))


def finish(task: Task, days_ago: int) -> None:
    at = database_time_in(-days_ago * 86_400)
    ended = {"state": "SUCCEEDED", "progress": 100, "created_at": at, "finished_at": at}
    Task.objects.filter(pk=task.pk).update(**ended)


def test_an_organization_keeps_a_free_slot_for_one_that_had_tasks_of_late(
    ask: Ask, shared: Task
) -> None:
    finish(shared, days_ago=6)
    assert [starts(ask()) for _ in range(4)] == [True, True, False, False]


def test_an_organization_whose_last_task_is_old_costs_another_no_worker(
    ask: Ask, shared: Task
) -> None:
    finish(shared, days_ago=8)
    assert all(starts(ask()) for _ in range(4))


@pytest.mark.usefixtures("shared")
def test_beside_others_an_organization_occupies_half_of_the_workers(ask: Ask) -> None:
    assert [starts(ask()) for _ in range(4)] == [True, True, False, False]


def test_the_share_of_one_leaves_places_to_another(ask: Ask, shared: Task) -> None:
    for _ in range(4):
        starts(ask())
    assert starts(shared)


@pytest.mark.usefixtures("shared")
def test_a_task_that_exceeds_the_share_is_left_as_it_was(ask: Ask) -> None:
    begun(ask()), begun(ask())
    third = ask()
    before = again(third).__dict__ | {"_state": 0}
    assert not starts(third)
    assert again(third).__dict__ | {"_state": 0} == before
    assert third.events.count() == 1


@pytest.mark.usefixtures("shared")
def test_of_eight_workers_at_once_as_many_begin_as_the_share_has_places(ask: Ask) -> None:
    tasks = [ask() for _ in range(8)]
    attempts = together(8, lambda number: claim(tasks[number].task_id, worker=f"w{number}"))
    assert len([attempt for attempt in attempts if attempt]) == 2


@pytest.mark.usefixtures("shared")
def test_a_share_has_at_least_one_place(ask: Ask, settings: Any) -> None:
    settings.WORKER_CONCURRENCY = 1
    assert [starts(ask()), starts(ask())] == [True, False]


@pytest.mark.usefixtures("shared")
def test_the_end_of_a_task_makes_room_for_the_next(ask: Ask) -> None:
    first, _ = begun(ask()), begun(ask())
    third = ask()
    assert not starts(third)
    first.succeed()
    assert starts(third)


@pytest.mark.usefixtures("shared")
def test_a_dead_worker_keeps_a_place_until_its_lease_ends(ask: Ask) -> None:
    dead = ask()
    begun(dead), begun(ask())
    end_lease(dead)
    third = ask()
    assert starts(third)
    assert not starts(dead)


@pytest.mark.usefixtures("shared")
def test_a_task_that_pauses_in_its_undo_keeps_no_place(ask: Ask) -> None:
    task = ask(lock="here")
    attempt = begun(task)
    services.request_cancel(task, by="alice")
    attempt.renew()
    attempt.retry_later("The server did not answer.")
    assert [starts(ask()) for _ in range(3)] == [True, True, False]


@pytest.mark.usefixtures("shared")
def test_healing_may_use_one_place_beyond_the_share(ask: Ask) -> None:
    begun(ask()), begun(ask())
    assert [starts(ask(priority=HEALING_PRIORITY)) for _ in range(3)] == [True, False, False]


@pytest.mark.usefixtures("shared")
def test_healing_alone_leaves_a_worker_to_another_organization(ask: Ask) -> None:
    assert sum(starts(ask(priority=HEALING_PRIORITY)) for _ in range(4)) == 3
    assert not starts(ask())


@pytest.mark.usefixtures("shared")
def test_a_task_that_holds_writes_continues_beside_a_full_share(
    ask: Ask, messages: list[str]
) -> None:
    begun(ask())
    upgrade = begun(ask(lock="cluster"))
    backups = [ask() for _ in range(5)]
    upgrade.save_checkpoint(held_at=1)
    upgrade.retry_later("Passing.")
    services.wake_following(upgrade.task)
    assert messages[-1] == backups[0].task_id
    begun(backups[0])
    end_pause(upgrade.task)
    sweep_tasks()
    assert upgrade.task.task_id in messages[-2:]
    assert starts(again(upgrade.task))


@pytest.mark.usefixtures("shared")
def test_a_cancelled_task_is_undone_beside_a_full_share(ask: Ask, messages: list[str]) -> None:
    paused = begun(ask())
    paused.retry_later("Passing.")
    begun(ask()), begun(ask()), ask()
    services.request_cancel(again(paused.task), by="alice")
    assert messages[-1] == paused.task.task_id
    assert starts(again(paused.task))


@pytest.mark.usefixtures("shared")
def test_the_undo_of_a_dead_worker_is_taken_over_while_a_detach_waits_for_it(
    ask: Ask, settings: Any
) -> None:
    settings.WORKER_CONCURRENCY = 2
    backup = begun(ask(lock="cluster"))
    backup.release_lock()
    backup.begin_undoing("The server did not answer.")
    end_lease(backup.task)
    begun(ask(lock="cluster", priority=100))
    assert starts(again(backup.task))


@pytest.mark.usefixtures("shared")
def test_urgent_tasks_are_woken_before_older_ones(ask: Ask, messages: list[str]) -> None:
    first = begun(ask())
    begun(ask())
    for _ in range(5):
        ask()
    paused = begun(ask(priority=HEALING_PRIORITY))
    Task.objects.filter(pk=paused.task.pk).update(priority=0)
    paused.begin_undoing("The server did not answer.")
    paused.retry_later("Passing.")
    end_pause(paused.task)
    messages.clear()
    first.succeed()
    services.wake_following(first.task)
    assert messages[0] == paused.task.task_id


@pytest.mark.usefixtures("shared")
def test_the_share_grows_with_the_workers_that_report(ask: Ask) -> None:
    ask()
    beat_of("worker:1", slots=4)
    beat_of("worker:2", slots=8)
    beat_of("worker:3", is_working=False, slots=4)
    beat_of("sweeper:1", slots=0)
    assert share_limit() == 6
    Heartbeat.objects.filter(part="worker:2").update(at=database_time_in(-60))
    assert share_limit() == 2


@pytest.mark.usefixtures("shared")
def test_a_new_setting_holds_for_the_next_claim(ask: Ask, settings: Any) -> None:
    begun(ask()), begun(ask())
    settings.ORGANIZATION_SHARE_PERCENT = 25
    assert not starts(ask())
    settings.ORGANIZATION_SHARE_PERCENT = 100
    assert all(starts(ask()) for _ in range(4))


# -- wake-ups --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("shared")
def test_no_more_wake_ups_are_sent_than_the_share_has_places(ask: Ask, messages: list[str]) -> None:
    tasks = [ask() for _ in range(5)]
    assert messages == [task.task_id for task in tasks[:2]]
    assert again(tasks[4]).message == services.SHARE_IN_USE


@pytest.mark.usefixtures("shared")
def test_a_task_that_waits_for_its_lock_does_not_name_the_share(
    ask: Ask, messages: list[str]
) -> None:
    begun(ask(lock="cluster")), begun(ask())
    waiting = ask(lock="cluster", message="Waiting for the end of task-1.")
    assert messages[-1] != waiting.task_id
    assert again(waiting).message == "Waiting for the end of task-1."


def test_the_sweep_reaches_an_organization_behind_many_with_a_full_share(
    charlie: User, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "WAKE_BATCH_SIZE", 3)
    full = [Organization.objects.create(pk=UUID(int=n), name=f"full {n}") for n in range(1, 5)]
    last = Organization.objects.create(pk=UUID(int=2**128 - 1), name="last")
    rows = [(each, f"{each.pk}-{number}") for each in full for number in range(3)]
    Task.objects.bulk_create(
        Task(organization=each, task_id=task_id, kind=KIND, not_before=database_time_in(-5))
        for each, task_id in [*rows, (last, "last")]
    )
    Task.objects.exclude(task_id__endswith="-2").exclude(task_id="last").update(woken_at=Now())
    sweep_tasks()
    assert messages == ["last"]


@pytest.mark.usefixtures("shared")
def test_the_sweep_sends_none_while_the_share_is_in_use(ask: Ask, messages: list[str]) -> None:
    begun(ask()), begun(ask())
    for _ in range(3):
        ask()
    sweep_tasks()
    messages.clear()
    assert [sweep_tasks(), sweep_tasks()] == [0, 0]


@pytest.mark.usefixtures("shared")
def test_a_task_that_is_put_back_causes_no_message(ask: Ask, messages: list[str]) -> None:
    third = ask()
    begun(ask()), begun(ask())
    messages.clear()
    run_task(third.task_id)
    assert (messages, again(third).woken_at) == ([], None)


@pytest.mark.usefixtures("shared")
def test_a_task_that_was_put_back_is_woken_when_another_ends(ask: Ask, messages: list[str]) -> None:
    first = ask()
    begun(ask())
    waiting = [ask(), ask(priority=10)]
    messages.clear()
    run_task(first.task_id)
    assert messages == [waiting[1].task_id]


@pytest.mark.usefixtures("shared")
def test_a_cancelled_task_leaves_its_wake_up_to_another(ask: Ask, messages: list[str]) -> None:
    begun(ask())
    second, third = ask(), ask()
    services.request_cancel(second, by="alice")
    assert messages[-1] == third.task_id


@pytest.mark.usefixtures("shared")
def test_a_task_that_waits_for_its_lock_uses_no_place(ask: Ask, messages: list[str]) -> None:
    begun(ask(lock="here"))
    blocked, free = ask(lock="here"), ask()
    assert messages[-2:] == [blocked.task_id, free.task_id]
    messages.clear()
    run_task(blocked.task_id)
    assert messages == []


def test_the_tasks_of_two_organizations_run_in_turn(
    ask: Ask, ask_other: Ask, trial: Trial, messages: list[str]
) -> None:
    """Many of one are accepted before the first of the other."""
    ran: list[str] = []
    trial.run = lambda attempt: ran.append(attempt.task.subject_id)
    ask_other(subject_id="first")
    for _ in range(30):
        ask(subject_id="many")
    for _ in range(3):
        ask_other(subject_id="few")
    while "few" not in ran[-3:] or ran.count("few") < 3:
        run_task(messages.pop(0))
    assert len(ran) <= 10


def test_the_sweep_serves_an_organization_behind_a_thousand_tasks_of_another(
    ask: Ask, ask_other: Ask, messages: list[str], organization: Organization
) -> None:
    row = {"organization": organization, "kind": KIND, "subject_id": "it"}
    Task.objects.bulk_create(Task(task_id=f"task-{number}", **row) for number in range(1_000))
    last = ask_other()
    Task.objects.update(woken_at=None)
    messages.clear()
    assert sweep_tasks() == 3
    assert last.task_id in messages


def test_without_a_broker_every_task_is_found_by_the_sweep(
    ask: Ask, ask_other: Ask, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr(broker, "send", lambda task_id: False)
        tasks = [ask() for _ in range(5)] + [ask_other() for _ in range(5)]
    while sweep_tasks():
        while messages:
            run_task(messages.pop(0))
    assert {again(task).state for task in tasks} == {"SUCCEEDED"}


@pytest.mark.usefixtures("shared")
def test_the_tasks_of_a_killed_worker_are_taken_over_within_the_share(
    ask: Ask, messages: list[str]
) -> None:
    killed = [ask(), ask()]
    for task in killed:
        begun(task)
        end_lease(task)
        heard(task, seconds_ago=1.5)
    waiting = ask()
    sweep_tasks()
    while messages:
        run_task(messages.pop(0))
    assert {again(task).state for task in [*killed, waiting]} == {"SUCCEEDED"}


@pytest.mark.usefixtures("shared")
def test_a_claim_and_a_wake_up_cost_the_same_for_many_waiting_tasks(
    ask: Ask, messages: list[str]
) -> None:
    def statements() -> int:
        task = ask()
        with CaptureQueriesContext(connection) as queries:
            run_task(task.task_id)
            sweep_tasks()
        return len([query for query in queries if '"tasks_' in query["sql"]])

    begun(ask()), begun(ask())
    ask(), ask()
    statements()  # creates the heartbeat of the sweep
    few = statements()
    for _ in range(20):
        ask()
    assert statements() == few
