"""The units of docs/deploy/systemd: tenants' clusters outlive the worker that has started them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymilvus import MilvusClient

from tests.crash.broker import Broker
from tests.distributed.units import UNITS, Distributed
from tests.live import PROJECT, Api, wait_for
from tests.migrated import copy_migrated
from vbase_console.supervisor import processes

SERVICES = sorted((PROJECT / "docs" / "deploy" / "systemd").iterdir())
INSTALLED = "/opt/vbase"
OF_A_MACHINE = ("User", "EnvironmentFile")
"""Settings that name what this machine may not have."""


def service_of(file: Path) -> dict[str, str]:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(file)
    return dict(parser["Service"])


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributed]:
    """A web and a worker; none of these tests is about the other programs."""
    directory = tmp_path_factory.mktemp("units")
    broker, database = Broker(directory), directory / "console.sqlite3"
    copy_migrated(database)
    own = Distributed(directory, database=f"sqlite:///{database}", broker=broker.url)
    try:
        yield own.start("web", "worker")
    finally:
        own.close()
        broker.kill()


@pytest.fixture(scope="module")
def api(console: Distributed) -> Api:
    return console.api()


@pytest.fixture(scope="module")
def cluster(api: Api) -> dict[str, Any]:
    return api.created("outlives")


def test_every_program_has_a_unit_and_the_workers_have_one_for_many() -> None:
    programs = {Path(service_of(file)["ExecStart"]).name for file in SERVICES}
    assert programs == {unit.name for unit in UNITS.iterdir()}
    assert {file.name for file in SERVICES if "@" in file.name} == {
        "vbase-worker@.service",
        "vbase-sweeper@.service",
    }


@pytest.mark.parametrize("file", SERVICES, ids=lambda file: file.name)
def test_systemd_finds_no_fault_with_a_unit(file: Path, tmp_path: Path) -> None:
    lines = file.read_text().replace(INSTALLED, str(PROJECT)).splitlines(keepends=True)
    unit = tmp_path / file.name.replace("@.", "@1.")
    unit.write_text("".join(line for line in lines if not line.startswith(OF_A_MACHINE)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True
    )
    assert (verified.returncode, str(unit) in verified.stderr) == (0, False), verified.stderr


def test_stopping_a_workers_unit_ends_its_main_process_alone() -> None:
    modes = {file.name: service_of(file)["KillMode"] for file in SERVICES}
    worker = modes.pop("vbase-worker@.service")
    assert worker == "process"
    assert set(modes.values()) == {"mixed"}


def test_a_cluster_that_runs_out_of_memory_stops_no_worker() -> None:
    (worker,) = (file for file in SERVICES if file.name.startswith("vbase-worker"))
    assert service_of(worker)["OOMPolicy"] == "continue"


def launcher_of(console: Distributed, cluster: dict[str, Any]) -> psutil.Process:
    (found,) = console.processes_like("embedded.server.launcher", cluster["clusterId"])
    return found


def pool_of(console: Distributed) -> list[psutil.Process]:
    """The processes in which a worker that is up runs its tasks."""
    worker = psutil.Process(console.programs["worker"].pid)
    return wait_for(lambda: found if len(found := worker.children()) == 2 else [])


def answers(api: Api, cluster: dict[str, Any]) -> list[str]:
    access = api.access(cluster)
    client = MilvusClient(f"http://{access['endpoint']}:{access['port']}", token=access["token"])
    try:
        return list(client.list_databases())
    finally:
        client.close()


def test_a_cluster_shares_neither_session_nor_process_group_with_its_worker(
    console: Distributed, cluster: dict[str, Any]
) -> None:
    launcher = launcher_of(console, cluster).pid
    assert os.getsid(launcher) == os.getpgid(launcher) == launcher
    assert launcher != os.getpgid(console.programs["worker"].pid)


def test_a_killed_worker_takes_its_pool_along_and_no_cluster(
    console: Distributed, api: Api, cluster: dict[str, Any]
) -> None:
    """As a service manager with `KillMode=process` whose patience has ended."""
    worker, launcher = console.programs["worker"], launcher_of(console, cluster)
    pool = pool_of(console)
    worker.kill()
    worker.wait()
    wait_for(lambda: not any(map(processes.is_alive, pool)))
    assert launcher_of(console, cluster) == launcher
    assert answers(api, cluster) == ["default"]
    console.run("worker")


def test_a_killed_process_group_takes_no_cluster_along(
    console: Distributed, api: Api, cluster: dict[str, Any]
) -> None:
    worker, launcher = console.programs["worker"], launcher_of(console, cluster)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    assert launcher_of(console, cluster) == launcher
    assert answers(api, cluster) == ["default"]
    console.run("worker")


def test_the_next_worker_works_with_the_cluster_that_its_predecessor_has_started(
    console: Distributed, api: Api, cluster: dict[str, Any]
) -> None:
    launcher, _ = launcher_of(console, cluster), pool_of(console)
    assert console.end("worker") == [0]
    assert launcher_of(console, cluster) == launcher
    console.run("worker")
    api.post(f"/clusters/{cluster['clusterId']}/stop")
    api.wait_for_status(cluster, "STOPPED")
    assert not processes.is_alive(launcher)
