"""Dispatchers as processes of their own on one database: several at once, and killed on their
way. Each planned instant is fired once, and nothing is half done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Barrier

import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from backups.models import Backup
from backups.policies import beat_mirror, dispatch, runs, sweeps
from backups.policies.models import BackupPolicy, PolicyRun
from backups.services.backups import BackupRequest
from clusters.models import Cluster
from tests.crash.processes import Points, exit_code
from tests.policies.conftest import MakePolicy
from tests.policies.conftest import cluster as cluster
from tests.policies.conftest import make_policy as make_policy
from vbase_console.tasks import services as task_services
from vbase_console.tasks.models import Task

LONG_AGO = datetime(2026, 6, 1, 12, tzinfo=UTC)
FORK = multiprocessing.get_context("fork")
Tick = Callable[[], object]


def started(tick: Tick, *, line: Barrier, die_at: int = 0) -> ForkProcess:
    """A process that waits at the line for the others and then ticks; it dies at a point before
    any of the steps of firing, or right behind a commit.
    """
    connections.close_all()

    def run() -> None:
        points = Points(die_at)
        points.before(dispatch, "next_run_after")
        points.before(dispatch, "start_run")
        points.before(BackupRequest, "submit")
        points.before(beat_mirror, "copy_last_run")
        points.before(task_services, "wake")
        line.wait()
        tick()
        connections.close_all()
        os._exit(0)

    process = FORK.Process(target=run)
    process.start()
    return process


def at_once(count: int, tick: Tick, *, die_at: int = 0) -> list[int]:
    """Return the exit code of each process. Only the first one may die."""
    line = FORK.Barrier(count)
    processes = [started(tick, line=line, die_at=die_at)]
    processes += [started(tick, line=line) for _ in range(count - 1)]
    return [exit_code(process) for process in processes]


def make_due(make_policy: MakePolicy, number: int) -> None:
    for _ in range(number):
        make_policy(schedule_cron="@yearly")
    BackupPolicy.objects.update(next_run_at=LONG_AGO)


def is_fired_once(number: int) -> None:
    """Every policy has its run, its job, its backup and its plan: one of each."""
    due = BackupPolicy.objects.due(timezone.now())
    assert list(PolicyRun.objects.values_list("planned_at", flat=True)) == [LONG_AGO] * number
    assert PolicyRun.objects.values("policy").distinct().count() == number
    assert PolicyRun.objects.filter(job__isnull=False, is_catch_up=True).count() == number
    assert Task.objects.filter(kind="BACKUP").count() == Backup.objects.count() == number
    assert PeriodicTask.objects.exclude(last_run_at=None).count() == number
    assert not due.exists()


def test_three_at_once_double_nothing_and_miss_nothing(make_policy: MakePolicy) -> None:
    make_due(make_policy, 20)
    assert at_once(3, sweeps.sweep_policies) == [0, 0, 0]
    is_fired_once(20)


@pytest.mark.parametrize("die_at", [1, 2, 4, 5, 8])
def test_two_finish_what_a_third_was_killed_at(die_at: int, make_policy: MakePolicy) -> None:
    make_due(make_policy, 12)
    assert at_once(3, sweeps.sweep_policies, die_at=die_at)[1:] == [0, 0]
    sweeps.sweep_policies()
    is_fired_once(12)


def test_one_that_is_killed_anywhere_leaves_nothing_half_done(make_policy: MakePolicy) -> None:
    make_due(make_policy, 2)
    for point in count(1):
        forget_runs()
        (code,) = at_once(1, sweeps.sweep_policies, die_at=point)
        sweeps.sweep_policies()
        is_fired_once(2)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert point > 10


def test_the_database_forbids_a_second_run_of_an_instant(make_policy: MakePolicy) -> None:
    policy = make_policy()
    runs.start_run(policy, planned_at=LONG_AGO, by="one")
    Task.objects.update(state="SUCCEEDED", progress=100, finished_at=timezone.now())
    with pytest.raises(IntegrityError):
        runs.start_run(policy, planned_at=LONG_AGO, by="another")
    assert Task.objects.filter(kind="BACKUP").count() == Backup.objects.count() == 1


def test_the_database_alone_keeps_runs_from_being_doubled(make_policy: MakePolicy) -> None:
    """Dispatchers that look at nothing, neither at the plan nor at the runs, nor hold any row."""
    make_due(make_policy, 10)
    assert at_once(3, fire_blindly) == [0, 0, 0]
    BackupPolicy.objects.update(next_run_at=LONG_AGO + timedelta(days=36500))
    is_fired_once(10)


def fire_blindly() -> None:
    for policy in BackupPolicy.objects.select_related("cluster").order_by("pk"):
        try:
            with transaction.atomic():
                runs.start_run(policy, planned_at=LONG_AGO, is_catch_up=True, by="nobody")
        except IntegrityError:
            continue  # another dispatcher was first


def forget_runs() -> None:
    BackupPolicy.objects.update(next_run_at=LONG_AGO, last_run=None)
    PeriodicTask.objects.update(last_run_at=None)
    PolicyRun.objects.all().delete()
    Task.objects.filter(kind="BACKUP").delete()
    Backup.objects.all().delete()
    Cluster.objects.update(status_message="")
