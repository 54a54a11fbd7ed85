"""One attempt at a time, in turn, by the database's word."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import IntegrityError

from tests.tasks.together import together
from tests.tasks.trials import Trial, again, begun, end_lease, history
from vbase_console.tasks import registry
from vbase_console.tasks.attempts import _begin, claim
from vbase_console.tasks.models import Task, database_time_in
from vbase_console.tasks.worker import run_task

Ask = Callable[..., Task]


def test_of_eight_workers_that_hear_of_a_task_one_begins_it(ask: Ask) -> None:
    task = ask()
    attempts = together(8, lambda number: claim(task.task_id, worker=f"w{number}"))
    assert len([attempt for attempt in attempts if attempt]) == 1
    assert again(task).epoch == 1


def test_of_eight_workers_one_takes_over_from_the_dead(ask: Ask) -> None:
    task = ask(lock="here")
    begun(task)
    end_lease(task)
    attempts = together(8, lambda number: claim(task.task_id, worker=f"w{number}"))
    assert len([attempt for attempt in attempts if attempt]) == 1
    assert (again(task).epoch, again(task).holds_lock) == (2, True)


def test_a_message_delivered_five_times_at_once_does_the_work_once(ask: Ask, trial: Trial) -> None:
    task = ask()
    together(5, lambda number: run_task(task.task_id))
    assert trial.attempts == [1]
    assert again(task).state == "SUCCEEDED"


def test_a_message_that_comes_after_the_end_changes_nothing(ask: Ask, trial: Trial) -> None:
    task = ask()
    run_task(task.task_id)
    before = again(task)
    run_task(task.task_id)
    assert again(task).__dict__ | {"_state": 0} == before.__dict__ | {"_state": 0}


def test_tasks_of_one_lock_are_begun_one_by_one_in_the_order_they_were_accepted(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    assert claim(second.task_id, worker="w") is None
    attempt = begun(first)
    assert claim(second.task_id, worker="w") is None
    attempt.succeed()
    assert claim(second.task_id, worker="w") is not None


def test_what_waits_behind_a_holder_is_not_ready(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    attempt = begun(first)
    assert not Task.objects.ready().exists()
    attempt.succeed()
    assert Task.objects.ready().get() == second


def test_a_higher_rank_goes_first_among_those_that_wait(ask: Ask) -> None:
    ordinary, urgent = ask(lock="here"), ask(lock="here", priority=100)
    assert claim(ordinary.task_id, worker="w") is None
    assert claim(urgent.task_id, worker="w") is not None


def test_a_pause_after_an_error_keeps_the_turn(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    begun(first).retry_later("The disk was full.")
    assert claim(first.task_id, worker="w") is None
    assert claim(second.task_id, worker="w") is None


def test_the_database_refuses_a_second_holder_of_a_lock(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    begun(first)
    lease = database_time_in(30)
    with pytest.raises(IntegrityError):
        Task.objects.filter(pk=second.pk).update(
            state="RUNNING", holds_lock=True, lease_until=lease
        )


def test_whoever_loses_the_race_for_a_lock_begins_nothing(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were read as next, as if the look and the claim were far apart."""
    tasks = [ask(lock="here"), ask(lock="here")]
    monkeypatch.setattr("vbase_console.tasks.models.TaskQuerySet.ready", lambda rows: rows.all())
    attempts = together(2, lambda number: claim(tasks[number].task_id, worker="w"))
    assert len([attempt for attempt in attempts if attempt]) == 1
    assert Task.objects.filter(holds_lock=True).count() == 1


def test_tasks_without_a_lock_wait_for_nobody(ask: Ask) -> None:
    first, second = ask(), ask()
    begun(first)
    assert claim(second.task_id, worker="w") is not None


def test_a_released_lock_lets_the_next_begin_while_the_first_goes_on(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    attempt = begun(first)
    attempt.release_lock()
    assert claim(second.task_id, worker="w") is not None
    attempt.succeed()
    assert again(first).state == "SUCCEEDED"


def test_whoever_takes_over_what_had_released_its_lock_does_not_take_it_again(ask: Ask) -> None:
    first, second = ask(lock="here"), ask(lock="here")
    begun(first).release_lock()
    begun(second)
    end_lease(first)
    begun(first, "second")
    assert (again(first).holds_lock, again(second).holds_lock) == (False, True)


def test_what_was_put_back_after_it_was_read_is_not_begun(ask: Ask) -> None:
    """Neither by a worker that read it as waiting, nor by one that read it as running."""
    task = ask()
    read = [again(task)]
    attempt = begun(task)
    read.append(again(task))
    attempt.retry_later("Passing.")
    assert [_begin(each, "late", 0.0) for each in read] == [None, None]


def test_a_kind_that_this_version_does_not_know_is_left_for_one_that_does(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ask()
    monkeypatch.setattr(registry, "_jobs", {})
    assert claim(task.task_id, worker="old") is None
    assert again(task).epoch == 0


def test_a_task_can_be_begun_in_the_instant_it_was_accepted(ask: Ask) -> None:
    assert all(claim(ask().task_id, worker="w") for _ in range(40))


def test_what_has_begun_does_not_say_that_it_waits(ask: Ask) -> None:
    task = ask()
    assert task.message == "Waiting for a worker."
    begun(task)
    assert again(task).message == "Started."


def test_it_says_who_began_it_and_who_took_over(ask: Ask) -> None:
    task = ask()
    begun(task, "first")
    end_lease(task)
    begun(task, "second")
    assert again(task).worker == "second"
    assert history(task)[1:] == ["Started.", "Taken over from a worker that died."]
