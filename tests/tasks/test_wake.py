"""The row is the truth, the message a wake-up: lost, doubled, late, or never sent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings
from kombu.exceptions import OperationalError

from tests.ports import free_port
from tests.tasks.trials import again, begun, end_lease
from vbase_console.celery import app
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.organizations.models import Organization
from vbase_console.settings.connections import broker_options
from vbase_console.tasks import services, sweeps
from vbase_console.tasks.broker import Broker, broker
from vbase_console.tasks.models import Heartbeat, Task, database_time_in
from vbase_console.tasks.sweeps import sweep_tasks

Ask = Callable[..., Task]
for_real = {"wake": services.wake, "wake_all": services.wake_all}


def unmuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere no message leaves a test; here that is what is looked at."""
    for name, function in for_real.items():
        monkeypatch.setattr(services, name, function)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that a broker took, in order."""
    messages: list[str] = []
    unmuted(monkeypatch)
    monkeypatch.setattr(broker, "send", lambda task_id: messages.append(task_id) or True)
    monkeypatch.setattr(broker, "backlog", lambda: 0)
    return messages


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    unmuted(monkeypatch)
    monkeypatch.setattr(broker, "send", lambda task_id: False)


def heard(task: Task, seconds_ago: float) -> None:
    Task.objects.filter(pk=task.pk).update(woken_at=database_time_in(-seconds_ago))


def test_a_worker_is_woken_after_the_commit_and_not_before(ask: Ask, woken: list[str]) -> None:
    with transaction.atomic():
        task = ask()
        assert woken == []
    assert woken == [task.task_id]
    assert again(task).woken_at is not None


def test_nobody_is_woken_for_what_was_rolled_back(ask: Ask, woken: list[str]) -> None:
    with transaction.atomic():
        ask()
        transaction.set_rollback(True)
    assert woken == []


def test_who_accepts_many_tells_of_all_of_them_together(ask: Ask, woken: list[str]) -> None:
    with services.batch_wakeups():
        tasks = [ask(), ask()]
        assert woken == []
    assert woken == [task.task_id for task in tasks]
    assert again(tasks[1]).woken_at is not None
    assert [ask().task_id] == woken[2:]


def test_together_too_nobody_is_woken_for_what_was_rolled_back(ask: Ask, woken: list[str]) -> None:
    with services.batch_wakeups(), transaction.atomic():
        with transaction.atomic():
            ask()
            transaction.set_rollback(True)
        task = ask()
    assert woken == [task.task_id]


@pytest.mark.usefixtures("no_broker")
def test_without_a_broker_the_row_is_accepted_all_the_same(ask: Ask) -> None:
    assert again(ask()).state == "PENDING"
    assert again(ask()).woken_at is None


def test_the_sweep_finds_what_no_message_reached(ask: Ask, woken: list[str]) -> None:
    task = ask()
    Task.objects.update(woken_at=None)
    woken.clear()
    assert sweep_tasks() == 1
    assert woken == [task.task_id]


def test_the_sweep_leaves_alone_what_was_heard_of_a_moment_ago(ask: Ask, woken: list[str]) -> None:
    ask()
    woken.clear()
    assert sweep_tasks() == 0


def test_the_sweep_wakes_again_where_the_message_is_old(ask: Ask, woken: list[str]) -> None:
    task = ask()
    Task.objects.update(not_before=database_time_in(-60))
    heard(task, seconds_ago=settings.LEASE_SECONDS + 1)
    assert sweep_tasks() == 1


def test_the_sweep_adds_no_message_while_many_wait_for_a_worker(
    ask: Ask, woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ask()
    Task.objects.update(not_before=database_time_in(-60))
    heard(task, seconds_ago=settings.LEASE_SECONDS + 1)
    monkeypatch.setattr(broker, "backlog", lambda: sweeps.WAKE_BATCH_SIZE)
    assert sweep_tasks() == 0


def test_the_sweep_wakes_for_the_dead_as_soon_as_their_lease_has_ended(
    ask: Ask, woken: list[str]
) -> None:
    """However lately the message came by which the dead worker heard of it."""
    task = ask()
    begun(task)
    end_lease(task)
    heard(task, seconds_ago=1.5)
    assert sweep_tasks() == 1


def test_a_message_from_before_the_pause_does_not_count(ask: Ask, woken: list[str]) -> None:
    task = ask()
    begun(task).retry_later("Passing.")
    heard(task, seconds_ago=0.5)
    Task.objects.update(not_before=database_time_in(-0.1))
    assert sweep_tasks() == 1


def test_the_sweep_wakes_nobody_for_what_is_not_due(ask: Ask, woken: list[str]) -> None:
    begun(ask()).retry_later("Passing.")
    ask(delay_seconds=60)
    Task.objects.update(woken_at=None)
    assert sweep_tasks() == 0


def test_whoever_frees_a_lock_leaves_word_for_the_next_in_line(ask: Ask, woken: list[str]) -> None:
    """If the worker dies before its message is sent, the next sweep is enough."""
    first, second = ask(lock="here"), ask(lock="here")
    begun(first).succeed()
    assert again(second).woken_at is None
    woken.clear()
    assert (sweep_tasks(), woken) == (1, [second.task_id])


def test_the_worker_wakes_the_next_in_line(ask: Ask, woken: list[str]) -> None:
    from vbase_console.tasks.worker import run_task

    first, second = ask(lock="here"), ask(lock="here")
    woken.clear()
    run_task(first.task_id)
    assert woken == [second.task_id]


def test_the_sweep_stops_at_the_first_message_that_is_not_taken(
    ask: Ask, woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ask()
    Task.objects.update(woken_at=None)
    asked: list[str] = []
    monkeypatch.setattr(broker, "send", lambda task_id: bool(asked.append(task_id)))
    assert (sweep_tasks(), len(asked)) == (0, 1)


def test_ten_thousand_waiting_tasks_all_get_their_turn(
    organization: Organization, transactional_db: None, woken: list[str]
) -> None:
    rows = (_row(number, organization) for number in range(10_000))
    Task.objects.bulk_create(rows, batch_size=2_000)
    # With statistics of the few rows of another test, PostgreSQL would compare all tasks each time.
    update_planner_statistics(after_filling=True)
    with override_settings(LEASE_SECONDS=3600):
        while sweep_tasks():
            pass
    assert len(woken) == len(set(woken)) == 9_901


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("found", "order"), [("ready", "not_before"), ("abandoned", "lease_until")]
)
def test_what_a_sweep_looks_for_is_found_by_index(db: None, found: str, order: str) -> None:
    """A sweep must not read the history of years, nor compare all that wait with each other."""
    plan = getattr(Task.objects, found)().order_by(order).explain()
    assert "SCAN" not in plan


def test_the_sweep_leaves_word_that_workers_are_at_work(transactional_db: None) -> None:
    sweep_tasks()
    first = Heartbeat.objects.get(part="worker").at
    sweep_tasks()
    assert Heartbeat.objects.get(part="worker").at >= first


def test_a_closed_door_is_tried_once_and_not_by_every_request(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(settings, "SWEEP_SECONDS", 60)

    def refuse(name: str, arguments: tuple[str], **options: object) -> None:
        tried.append(arguments[0])
        raise ConnectionRefusedError

    monkeypatch.setattr("vbase_console.tasks.broker.current_app.send_task", refuse)
    own = Broker()
    assert [own.send("task-1"), own.send("task-2"), own.send("task-3")] == [False] * 3
    assert tried == ["task-1"]


def test_a_connection_that_was_lost_while_it_was_idle_costs_no_wake_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []

    def lost_once(name: str, arguments: tuple[str], **options: object) -> None:
        tried.append(arguments[0])
        if len(tried) == 1:
            raise OperationalError from ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("vbase_console.tasks.broker.current_app.send_task", lost_once)
    assert Broker().send("task-1")
    assert tried == ["task-1", "task-1"]
    assert "lost" not in caplog.text


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_broker_that_never_answers_holds_a_caller_up_for_its_time_out_once(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, send_task = (
        app.connection_for_write(f"redis://127.0.0.1:{silent_port}/0"),
        app.send_task,
    )
    errors: list[Exception] = []

    def send(name: str, arguments: tuple[str], **options: object) -> None:
        try:
            send_task(name, arguments, connection=silent, **options)
        except Exception as error:
            errors.append(error)
            raise

    monkeypatch.setattr("vbase_console.tasks.broker.current_app.send_task", send)
    own = Broker()
    assert [own.send("task-1"), own.send("task-2")] == [False, False]
    assert [str(error) for error in errors] == ["Timeout reading from socket"]


def test_a_caller_does_not_sleep_for_a_rabbitmq_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", slept.append)
    url = f"amqp://127.0.0.1:{free_port()}//"
    away = app.connection_for_write(url, transport_options=broker_options(url, 30))
    with pytest.raises(OperationalError):
        app.send_task("vbase.run_task", ("task-1",), connection=away, retry=False)
    assert slept == []


def _row(number: int, organization: Organization) -> Task:
    """One in a hundred has no lock, one in a hundred is in one long line, all others have a lock
    each.
    """
    lock = {0: "", 1: "one"}.get(number % 100, f"lock-{number}")
    return Task(
        task_id=f"task-{number}",
        organization=organization,
        kind="TRIAL",
        subject_id="it",
        lock=lock,
    )
