"""Workers that are programs on the embedded driver: real Milvus processes, directories, ports."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from clusters import driver as clusters_driver
from clusters.drivers import load_driver
from clusters.drivers.base import ClusterDriver
from clusters.models import Cluster
from clusters.services import create_cluster, scale_cluster
from tests.crash import embedded_worker
from tests.crash.processes import database_of_this_test
from tests.crash.programs import Program
from tests.crash.scenarios import SCENARIOS as ALL
from tests.crash.scenarios import Scenario, run_to_the_end
from vbase_console.core.encryption import derived_key
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

OLD, NEW = "3.2.1", "3.2.2"


def _upgrade(cluster: Cluster) -> Task:
    return scale_cluster(cluster, changes={"version": NEW}, by="alice", backup_first=False)


def _upgrade_now(cluster: Cluster) -> None:
    run_to_the_end(_upgrade(cluster))


VERSIONED = {"VERSION_UPGRADE": {"ask": _upgrade}, "GO_BACK": {"prepare": _upgrade_now}}
"""First word of a scenario → what names a version in it."""
SCENARIOS = {
    name: dataclasses.replace(each, **VERSIONED.get(name.split()[0], {}))
    for name, each in ALL.items()
}
StartWorker = Callable[..., Program]
RunWorker = Callable[..., int]
Prepare = Callable[[Scenario], Cluster]


@pytest.fixture
def embedded(tmp_path: Path, transactional_db: None, settings: Any) -> Iterator[ClusterDriver]:
    settings.CLUSTER_DRIVER = "embedded"
    original = clusters_driver.load_driver
    driver = load_driver("embedded", data_dir=tmp_path, control_key=derived_key("cluster control"))
    clusters_driver.load_driver = lambda *a, **k: driver  # type: ignore[assignment]
    clusters_driver.get_driver.cache_clear()
    yield driver
    for cluster_id in driver.cluster_ids():
        list(driver.delete(cluster_id, lambda: None))
    clusters_driver.load_driver = original
    clusters_driver.get_driver.cache_clear()


@pytest.fixture
def start_worker(tmp_path: Path, embedded: ClusterDriver) -> Iterator[StartWorker]:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "vbase_console.settings.test",
        "VBASE_DATABASE_URL": database_of_this_test(),
        "VBASE_CLUSTER_DRIVER": "embedded",
        "VBASE_DATA_DIR": str(tmp_path),
        "VBASE_SECRET_KEY": settings.SECRET_KEY,
        "VBASE_LEASE_SECONDS": "5",
    }
    started: list[Program] = []

    def start(die_at: int = 0, cancel_in: str = "", stop_in: str = "") -> Program:
        asked = (die_at, cancel_in, stop_in)
        started.append(Program(embedded_worker.main, *asked, environment=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
    for process in started:
        process.wait()


@pytest.fixture
def run_worker(start_worker: StartWorker) -> RunWorker:
    return lambda *a, **k: start_worker(*a, **k).wait()


@pytest.fixture
def prepare(principal: Principal, run_worker: RunWorker) -> Prepare:
    numbers = count(1)

    def prepare(scenario: Scenario) -> Cluster:
        cluster, _ = create_cluster(
            principal, name=f"trial {next(numbers)}", resources={"version": OLD}
        )
        if scenario.deployed:
            assert run_worker() == 0
        scenario.prepare(cluster)
        scenario.ask(cluster)
        return cluster

    return prepare
