"""The clock is set back or forward: a dead worker's task is found, a living worker's one is kept.

No test can set the database's clock, by which leases are measured: its rows move instead.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import DateTimeField, ExpressionWrapper, F

from tests.live import wait_for
from tests.tasks.test_wake import Ask
from tests.tasks.test_wake import woken as woken
from tests.tasks.trials import again, begun
from vbase_console.tasks.attempts import MAX_RETRY_DELAY_SECONDS, claim
from vbase_console.tasks.errors import LeaseLost
from vbase_console.tasks.models import Task, database_time_in
from vbase_console.tasks.services import request_cancel
from vbase_console.tasks.sweeps import correct_impossible_instants, sweep_tasks


def set_clock(hours: float) -> None:
    """As the rows look after the clock was set by so many hours."""
    for name in ("lease_until", "not_before", "woken_at"):
        moved = ExpressionWrapper(F(name) - timedelta(hours=hours), output_field=DateTimeField())
        Task.objects.update(**{name: moved})


def test_a_dead_workers_task_is_taken_over_after_the_clock_was_set_back(
    ask: Ask, woken: list[str]
) -> None:
    task = ask()
    begun(task)
    set_clock(-1)
    assert wait_for(lambda: sweep_tasks() and claim(task.task_id, worker="other"), 30) is not None


def test_a_living_worker_keeps_its_task_when_the_clock_is_set_back(
    ask: Ask, woken: list[str]
) -> None:
    task = ask()
    attempt = begun(task)
    set_clock(-1)
    sweep_tasks()
    attempt.renew()
    attempt.guard()
    assert claim(task.task_id, worker="other") is None
    assert again(task).lease_until <= Task.objects.annotate(end=database_time_in(1)).get().end


def test_a_pause_ends_although_the_clock_was_set_back(ask: Ask, woken: list[str]) -> None:
    task = ask()
    begun(task).retry_later("The network is away.")
    set_clock(-1)
    woken.clear()
    sweep_tasks()
    assert woken == [task.task_id]
    assert claim(task.task_id, worker="other") is not None


def test_a_lost_message_is_sent_again_although_the_clock_was_set_back(
    ask: Ask, woken: list[str]
) -> None:
    task = ask()
    set_clock(-1)
    woken.clear()
    sweep_tasks()
    assert woken == [task.task_id]


def test_a_clock_that_is_set_forward_lets_one_worker_write(ask: Ask, woken: list[str]) -> None:
    task = ask()
    attempt = begun(task)
    set_clock(1)
    other = begun(task, worker="other")
    with pytest.raises(LeaseLost):
        attempt.save_checkpoint(done=1)
    other.save_checkpoint(done=1)


def test_nothing_is_corrected_while_nobody_sets_the_clock(ask: Ask, woken: list[str]) -> None:
    begun(ask())
    begun(ask()).retry_later("The network is away.")
    ask(delay_seconds=60)
    assert correct_impossible_instants() == 0


def test_the_longest_pause_of_a_cancelling_task_is_no_sign_of_a_clock(
    ask: Ask, woken: list[str]
) -> None:
    task = ask()
    attempt = begun(task)
    request_cancel(task, by="alice")
    pause = database_time_in(MAX_RETRY_DELAY_SECONDS)
    assert attempt._pause_cancelling("Cleaning up failed.", pause)
    assert correct_impossible_instants() == 0
