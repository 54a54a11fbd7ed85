"""One scenario for each task kind, and for each kind cancelled midway: how it is prepared, asked
for, and what must hold afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from clusters import services
from clusters.drivers.memory import MemoryDriver
from clusters.models import Cluster, KeptCopy
from tests.tasks.trials import end_lease
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

Ask = Callable[[Cluster], object]


def _nothing(cluster: Cluster) -> None:
    """A running cluster is all that is needed."""


def _stop(cluster: Cluster) -> None:
    task = services.stop_cluster(cluster, by="alice")
    run_task(task.task_id)


def run_to_the_end(task: Task) -> None:
    """Run a task in this process. On a busy machine an attempt may lose its lease."""
    for _ in range(20):
        run_task(task.task_id)
        task.refresh_from_db()
        if task.is_finished:
            return
        end_lease(task)
    raise AssertionError(f"{task.state}: {task.message}")


def _upgrade(cluster: Cluster) -> None:
    run_to_the_end(services.scale_cluster(cluster, changes={"version": "2.1.0"}, by="alice"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    ask: Ask
    prepare: Ask = _nothing
    deployed: bool = True
    cancel_in: str = ""
    """The phase in which the task is cancelled. Empty: it is not cancelled."""


PLAIN: dict[str, Scenario] = {
    "DEPLOYMENT": Scenario(ask=_nothing, deployed=False),
    "SCALING": Scenario(
        ask=lambda c: services.scale_cluster(c, changes={"compute_units": 4}, by="alice")
    ),
    "VERSION_UPGRADE": Scenario(
        ask=lambda c: services.scale_cluster(c, changes={"version": "2.1.0"}, by="alice")
    ),
    "RESTART": Scenario(ask=lambda c: services.restart_cluster(c, by="alice")),
    "STOP": Scenario(ask=lambda c: services.stop_cluster(c, by="alice")),
    "START": Scenario(prepare=_stop, ask=lambda c: services.start_cluster(c, by="alice")),
    "DELETION": Scenario(ask=lambda c: services.delete_cluster(c, by="alice")),
}
CANCELLED: dict[str, Scenario] = {
    f"{kind} cancelled": dataclasses.replace(PLAIN[kind], cancel_in=phase)
    for kind, phase in {
        "DEPLOYMENT": "starting",
        "SCALING": "starting",
        "VERSION_UPGRADE": "starting",
        "RESTART": "starting",
        "STOP": "stopping",
        "START": "starting",
    }.items()
}
WAY_BACK = Scenario(
    prepare=_upgrade, ask=lambda c: services.go_back(c, by="alice", backup_first=False)
)
WAYS_BACK = {
    "GO_BACK": WAY_BACK,
    "GO_BACK cancelled": dataclasses.replace(WAY_BACK, cancel_in="starting"),
}
SCENARIOS = PLAIN | CANCELLED | WAYS_BACK


def canceller(phase_to_cancel_in: str) -> Callable[[str], None]:
    """Called at the driver's steps: asks to stop the first task that reaches the phase."""

    def at_step(phase: str) -> None:
        running = Task.objects.filter(state="RUNNING", cancel_requested_at=None)
        if phase == phase_to_cancel_in:
            for task in running:
                services.cancel_task(task, by="alice")

    return at_step


def left_behind(driver: MemoryDriver, cluster: Cluster) -> dict[str, Any]:
    """All that a job leaves in the world, but for instants and the number of attempts."""
    row = Cluster.objects.values().get(pk=cluster.pk)
    task = Task.objects.values("kind", "state", "holds_lock", "warnings").latest("pk")
    with driver._store.opened() as clusters:
        kept = {key: dataclasses.asdict(value) for key, value in clusters.items()}
    instants = ("_at", "_id", "sealed_token")
    return {
        "row": {key: value for key, value in row.items() if not key.endswith(instants)}
        | {"has a token": bool(row["sealed_token"]), "status_message": None},
        "task": task,
        "kept": list(KeptCopy.objects.values_list("version", flat=True)),
        "driver": [
            {key: value for key, value in each.items() if key not in ("started_at", "token_sha256")}
            for each in kept.values()
        ],
        "the token fits": _token_fits(driver, cluster.pk) if kept else None,
    }


def _token_fits(driver: MemoryDriver, cluster_id: str) -> bool:
    with driver._store.opened() as clusters:
        stopped = clusters[cluster_id].presence != "RUNNING"
    return stopped or driver.accepts(cluster_id, Cluster.objects.get(pk=cluster_id).token)
