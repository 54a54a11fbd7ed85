"""kill -9 of a worker at each step of a clone of two databases: another worker completes the clone,
or removes the new cluster if one of its restores fails.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pymilvus import MilvusClient

from backups.models import Backup
from backups.services.backups import plan_backup
from backups.services.new_clusters import NewCluster, plan_into_new_cluster
from backups.services.restores import restore_options
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.models import Cluster
from tests.backups.conftest import fill
from tests.crash.backups.effects import UNHARMED, Fate, killed_at
from tests.crash.backups.stage import Stage
from tests.crash.backups.test_killed import KILLED
from tests.crash.backups.workers import Workers
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.tasks.worker import run_task

TEXTS = "texts"
FEWEST_POINTS = {"completed": 100, "removed": 25}
Trial = Callable[[Fate], tuple[bool, dict[str, Any]]]


@pytest.fixture
def texts(stage: Stage) -> Backup:
    """A backup of another database of the stage."""
    stage.milvus.create_database(TEXTS)
    address = f"http://{stage.cluster.host}:{stage.cluster.port}"
    client = MilvusClient(address, token=stage.cluster.token, db_name=TEXTS)
    fill(client, "pages", rows=30)
    client.close()
    plan = plan_backup(stage.cluster, db_name=TEXTS, collection_names=["pages"])
    job = plan.submit(by="alice")
    run_task(job.task.task_id)
    return Backup.objects.get(pk=job.backup_id)


@pytest.fixture
def trial(
    stage: Stage,
    texts: Backup,
    principal: Principal,
    workers: Workers,
    driver: EmbeddedDriver,
) -> Trial:
    """Clone with a worker of that fate. Returns whether it died, and what is left in the end."""
    assert stage.backup is not None
    chosen, numbers = [stage.backup, texts], count(1)

    def run(fate: Fate) -> tuple[bool, dict[str, Any]]:
        Backup.objects.update(damage_found_by="", damage=[])
        new = NewCluster(name=f"copy {next(numbers)}")
        restores = [(backup, restore_options(backup)) for backup in chosen]
        job, _ = plan_into_new_cluster(principal, new, restores).submit(principal)
        died = workers.run(fate).end() == KILLED
        if died:
            workers.finish()
        left = left_behind(stage, job.cluster, driver)
        for _ in driver.delete(job.cluster_id, lambda: None):
            pass  # frees memory for the next trial
        return died, left

    return run


def left_behind(stage: Stage, cluster: Cluster, driver: EmbeddedDriver) -> dict[str, Any]:
    """Everything but instants and names that are different in every run."""
    cluster.refresh_from_db()
    tasks = Task.objects.filter(lock=cluster.lock).order_by("pk")
    exists = cluster.pk in driver.cluster_ids()
    return {
        "tasks": list(tasks.values_list("kind", "state", "holds_lock")),
        "cluster": (cluster.status, exists),
        "world": dataclasses.replace(stage, cluster=cluster).world() if exists else None,
        "proven": Backup.objects.filter(proven_at__isnull=False).count(),
        "damaged": Backup.objects.damaged().count(),
    }


def damage(backup: Backup) -> None:
    """Change one byte of one part."""
    parts = Path(settings.BACKUP_STORE) / backup.directory / "parts"
    part = min(parts.iterdir())
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(content)


def deaths(trial: Trial, expected: dict[str, Any]) -> Iterator[int]:
    """Kill at the next point until a worker survives. Compares what is left each time."""
    for point in count(1):
        died, left = trial(killed_at(point))
        assert left == expected, f"killed at point {point}"
        if not died:
            return
        yield point


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_clone_is_completed_at_every_point(trial: Trial, stage: Stage) -> None:
    _, expected = trial(UNHARMED)
    assert [state for _, state, _ in expected["tasks"]] == ["SUCCEEDED"] * 3
    assert expected["world"]["collections"] == stage.world()["collections"]
    assert len(list(deaths(trial, expected))) > FEWEST_POINTS["completed"]


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_clone_that_fails_is_removed_at_every_point(trial: Trial, stage: Stage) -> None:
    """The first restore finds a damaged part, so that the second one never begins."""
    assert stage.backup is not None
    damage(stage.backup)
    _, expected = trial(UNHARMED)
    assert [task[:2] for task in expected["tasks"]] == [
        ("DEPLOYMENT", "SUCCEEDED"),
        ("RESTORE", "FAILED"),
        ("RESTORE", "CANCELLED"),
        ("DELETION", "SUCCEEDED"),
    ]
    assert (expected["cluster"], expected["damaged"]) == (("DELETED", False), 1)
    assert len(list(deaths(trial, expected))) > FEWEST_POINTS["removed"]
