"""Two of each program on one host, over RabbitMQ and over Valkey, on PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.both_databases import Postgresql
from tests.databases import at_database
from tests.distributed.units import PROGRAMS, Distributed, Logs
from tests.live import Api, Console, wait_for


@pytest.fixture(scope="module")
def logs(console: Distributed) -> Logs:
    wait_for(lambda: console.reports("SERVING"))
    return Logs(console)


@pytest.fixture(scope="module")
def pairs(console: Distributed, logs: Logs) -> Iterator[Distributed]:
    """The shared console, with a second one of each program until the end of the module."""
    for name in PROGRAMS:
        console.run_another(name)
    yield console
    for name in PROGRAMS:
        second = console.programs.pop(f"{name}2")
        second.kill()
        second.wait()


@pytest.fixture(scope="module")
def database(postgresql: Postgresql) -> str:
    return postgresql.url


def rows(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def consumers(database: str) -> list[str]:
    """The workers and sweepers that say that they take messages."""
    found = rows(database, "SELECT part FROM tasks_heartbeat WHERE part LIKE '%:%' AND is_working")
    return sorted(str(part).partition(":")[0] for (part,) in found)


def test_two_machines_prepare_a_new_database_at_once(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE DATABASE prepared_at_once")
    url = at_database(database, "prepared_at_once")
    machines = [Console(tmp_path / name, VBASE_DATABASE_URL=url) for name in ("one", "two")]
    with ThreadPoolExecutor() as threads:
        said = list(threads.map(lambda machine: machine.manage("prepare"), machines))
    assert sorted("with the password" in each for each in said) == [False, True]


def test_every_worker_and_sweeper_takes_messages(pairs: Distributed, database: str) -> None:
    wait_for(lambda: consumers(database) == ["sweeper", "sweeper", "worker", "worker"])
    for port in (pairs.port, pairs.second_port):
        wait_for(lambda port=port: pairs.reports("SERVING", port))


def test_both_workers_carry_tasks_out(pairs: Distributed, api: Api, database: str) -> None:
    workers = {pairs.programs[name].pid for name in ("worker", "worker2")}
    used: set[int] = set()
    for number in range(100):
        api.created(f"cluster {number}")
        ((name,),) = rows(database, "SELECT worker FROM tasks_task ORDER BY id DESC LIMIT 1")
        used.add(psutil.Process(int(str(name).rpartition(":")[2])).ppid())
        if used == workers:
            break
    assert used == workers


def test_no_program_is_refused_or_begins_again(pairs: Distributed, logs: Logs) -> None:
    said = "".join(logs.of(key) for key in pairs.programs)
    assert [word for word in ("RESOURCE_LOCKED", "Traceback", ": lost") if word in said] == []
    assert {key: program.poll() for key, program in pairs.programs.items()} == dict.fromkeys(
        pairs.programs
    )


def test_one_of_each_is_enough(pairs: Distributed, api: Api) -> None:
    for name in ("worker", "sweeper", "beat", "web"):
        pairs.programs[f"{name}2"].send_signal(signal.SIGKILL)
    api.created("after the loss")
    wait_for(lambda: pairs.reports("SERVING"))
