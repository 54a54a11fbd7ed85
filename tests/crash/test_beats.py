"""Celery's beats as they are: ours several times, and the stock one beside it. What fires, when and
how often does not depend on them.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu import Connection

from backups.policies.beat_mirror import WAKES
from backups.policies.models import BackupPolicy, PolicyRun
from backups.policies.services import update_policy
from clusters.drivers.memory import MemoryDriver
from tests.crash.broker import Broker, celery
from tests.crash.processes import wait_until
from tests.policies.conftest import MakePolicy
from tests.policies.conftest import cluster as cluster
from tests.policies.conftest import make_policy as make_policy
from vbase_console.tasks.models import HEARTBEAT_INTERVAL_SECONDS, Heartbeat, Task

STOCK = "beat --pidfile= --scheduler django_celery_beat.schedulers:DatabaseScheduler"
OURS = "beat --pidfile="
QUIET = "--without-gossip --without-mingle --without-heartbeat"
DISPATCHER = f"worker -Q sweeps -P threads -c 2 {QUIET}"
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Directory by which other processes share the clusters of the memory driver."""
    return tmp_path / "memory-clusters"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    own = Broker(tmp_path)
    yield own
    own.kill()


@pytest.fixture
def start(
    shared: MemoryDriver, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    monkeypatch.setenv("VBASE_SWEEP_SECONDS", "3")
    with ExitStack() as running:
        yield lambda command: running.enter_context(celery(command, broker, tmp_path))


@pytest.fixture
def due(start: Start, make_policy: MakePolicy) -> list[BackupPolicy]:
    """Policies of every minute that were not looked at for an hour, as any beat would say."""
    with time_machine.travel(timezone.now() - timedelta(hours=1), tick=True):
        policies = [make_policy(schedule_cron="* * * * *") for _ in range(5)]
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=1))
    return policies


def messages(broker: Broker) -> list[dict[str, Any]]:
    """Return the messages for the workers of sweeps since the last call."""
    found = []
    with Connection(broker.url) as way:
        queue = way.SimpleQueue("sweeps", no_ack=True)
        with suppress(Empty):
            while True:
                found.append(queue.get_nowait().headers)
    return found


def fired_by_stock_beat() -> int:
    return PeriodicTask.objects.filter(name__startswith="policy:", total_run_count__gt=0).count()


def end(beat: subprocess.Popen[bytes]) -> None:
    """As a service manager would; it writes down what it has sent."""
    assert beat.poll() is None
    beat.terminate()
    beat.wait(60)


def test_the_stock_beat_only_wakes_the_dispatcher(
    due: list[BackupPolicy], broker: Broker, start: Start
) -> None:
    stock, seen = start(STOCK), list[dict[str, Any]]()
    wait_until(
        lambda: seen.extend(messages(broker)) or wakes(seen) > len(due),
        "it has woken the dispatcher for every policy",
    )
    end(stock)
    assert fired_by_stock_beat() == len(due)
    assert all(message["task"].startswith("vbase.") for message in seen)
    assert {message["argsrepr"] for message in seen} == {"()"}
    assert not PolicyRun.objects.exists()


def wakes(seen: list[dict[str, Any]]) -> int:
    return sum(message["task"] == WAKES for message in seen)


def test_three_beats_of_two_kinds_double_no_run(due: list[BackupPolicy], start: Start) -> None:
    stock, *_ = start(STOCK), start(OURS), start(OURS), start(DISPATCHER), start(DISPATCHER)
    first = PolicyRun.objects.filter(job__isnull=False)
    wait_until(lambda: first.count() == len(due), "every policy has run")
    wait_until(lambda: PolicyRun.objects.count() >= 2 * len(due), "the next minute has come, too")
    end(stock)
    assert fired_by_stock_beat() == len(due)
    assert Task.objects.filter(kind="BACKUP").count() == len(due)
    assert first.filter(is_catch_up=True).count() == len(due)


def test_beat_that_is_told_to_end_in_the_middle_of_a_query_ends_without_an_error(
    start: Start, transactional_db: None, tmp_path: Path
) -> None:
    beat, pulse = start(OURS), Heartbeat.objects.filter(part="beat")
    wait_until(pulse.exists, "beat is at work")
    with transaction.atomic():
        pulse.update(at=timezone.now())
        wait_until_somebody_waits_for_a_row()
        beat.terminate()
        with suppress(subprocess.TimeoutExpired):
            beat.wait(1)
    assert beat.wait(30) == 0
    assert "Error" not in (tmp_path / "beat.log").read_text()


def wait_until_somebody_waits_for_a_row() -> None:
    """SQLite does not tell; there a signal is heard of only behind the query."""
    if connection.vendor == "postgresql":
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with connection.cursor() as cursor:
            wait_until(lambda: cursor.execute(waiting).fetchone() != (0,), "beat waits")
    else:
        time.sleep(HEARTBEAT_INTERVAL_SECONDS + 1)


def test_an_edit_takes_effect_without_a_restart(make_policy: MakePolicy, start: Start) -> None:
    policy = make_policy(schedule_cron="@yearly")
    beat, dispatcher = start(OURS), start(DISPATCHER)
    at_work = Heartbeat.objects.filter(part__in=["beat", "worker"])
    wait_until(lambda: at_work.count() == 2, "beat and dispatcher are at work")
    with time_machine.travel(timezone.now() - timedelta(minutes=1), tick=True):
        update_policy(policy, schedule_cron="* * * * *")
    wait_until(policy.runs.exists, "the dispatcher has seen the edit")
    assert (beat.poll(), dispatcher.poll()) == (None, None)
