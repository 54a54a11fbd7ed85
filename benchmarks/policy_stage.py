"""One measurement of `benchmarks.policies`, in a process and on a database of its own; answers
JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any

import django
from django.db import connection
from django.db.utils import DatabaseError

TICKS = 30
MANY, FEW = 900, 100
MINUTE_SECONDS = 60.0


def main(stage: str, *options: str) -> None:
    django.setup()
    from benchmarks.policy_rows import make_console

    logging.disable(logging.CRITICAL)
    make_console()
    sys.stdout.write(json.dumps(STAGES[stage](*map(int, options))))


@dataclasses.dataclass
class Cost:
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    cost, wall, cpu = Cost(), time.perf_counter(), time.process_time()
    yield cost
    cost.wall_seconds = time.perf_counter() - wall
    cost.cpu_seconds = time.process_time() - cpu


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median processor time of many calls, which other load affects least."""
    work()
    costs = []
    for _ in range(TICKS):
        with measured() as cost:
            work()
        costs.append(cost.cpu_seconds * 1000)
    return median(costs)


# -- nothing is due --------------------------------------------------------------------------------


def idle(count: int) -> dict[str, Any]:
    from backups.policies.sweeps import sweep_policies
    from vbase_console.supervisor.beat import Scheduler

    _fill_idle(count)
    return {"dispatcher": milliseconds(sweep_policies)} | _beat(Scheduler)


def stock_idle(count: int, share_crontabs: int) -> dict[str, Any]:
    _fill_idle(count, share_crontabs=bool(share_crontabs))
    return _beat(_stock())


def _fill_idle(count: int, *, share_crontabs: bool = False) -> None:
    from benchmarks.policy_rows import make_cluster, make_idle

    make_idle(make_cluster("bench"), count, share_crontabs=share_crontabs)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _stock() -> Any:
    from django_celery_beat.schedulers import DatabaseScheduler

    return DatabaseScheduler


def _beat(kind: Any) -> dict[str, Any]:
    """A scheduler that starts on these rows, and then ticks."""
    from vbase_console.celery import app

    before = _resident_mib()
    try:
        with measured() as start:
            scheduler = kind(app=app)
            scheduler.tick()
    except (DatabaseError, RecursionError) as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"}
    return {
        "start": start.cpu_seconds,
        "start_wall": start.wall_seconds,
        "tick": milliseconds(scheduler.tick),
        "memory": _resident_mib() - before,
    }


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- a thousand are due in the same minute ---------------------------------------------------------


def minute(idle_count: int) -> dict[str, Any]:
    """One organization with 900 and a hundred with one each, the one with many first in line."""
    from django.utils import timezone

    from benchmarks.policy_rows import make_cluster, make_due, make_idle

    crowded, *lonely = (make_cluster(f"org-{number}") for number in range(FEW + 1))
    make_idle(crowded, idle_count)
    due_at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    make_due([crowded] * MANY + lonely, due_at)
    return _fired()


def _fired() -> dict[str, Any]:
    from django.utils import timezone

    from backups.policies.models import PolicyRun
    from backups.policies.sweeps import sweep_policies

    queries = Counted()
    began = timezone.now()
    with measured() as cost, connection.execute_wrapper(queries):
        fired = 0
        while swept := sweep_policies():
            fired += swept
    made = PolicyRun.objects.filter(job__task__state="PENDING").values_list(
        "organization__name", "created_at"
    )
    after = [(name, (at - began).total_seconds()) for name, at in made]
    return {
        "fired": fired,
        "jobs": len(after),
        "wall": cost.wall_seconds,
        "cpu": cost.cpu_seconds,
        "lonely": max(seconds for name, seconds in after if name != "org-0"),
        "queries": queries.count / fired,
    }


class Counted:
    count = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.count += 1
        return execute(*arguments)


def stock_minute(idle_count: int) -> dict[str, Any]:
    """Count the messages that the stock scheduler sends within a minute for a thousand due rows."""
    from django.utils import timezone

    from benchmarks.policy_rows import make_cluster, make_due, make_idle
    from vbase_console.celery import app

    cluster = make_cluster("bench")
    make_idle(cluster, idle_count, share_crontabs=True)
    due_at = timezone.now() - timedelta(minutes=3)
    make_due([cluster] * (MANY + FEW), due_at, share_crontabs=True)
    scheduler = _stock()(app=app)
    scheduler.apply_async = sent = Sent()
    with measured() as cost:
        until = time.perf_counter() + MINUTE_SECONDS
        while sent.count < MANY + FEW and time.perf_counter() < until:
            scheduler.tick()
    return {"sent": sent.count, "wall": cost.wall_seconds, "cpu": cost.cpu_seconds}


class Sent:
    """Takes the place of sending a message, which would only make it look slower."""

    count, id = 0, "sent"

    def __call__(self, *_: object, **__: object) -> Sent:
        self.count += 1
        return self


STAGES: dict[str, Callable[..., dict[str, Any]]] = {
    "idle": idle,
    "stock_idle": stock_idle,
    "minute": minute,
    "stock_minute": stock_minute,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
