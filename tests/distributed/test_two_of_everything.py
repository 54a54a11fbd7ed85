"""Two of each program on one host, over RabbitMQ and over Valkey, on PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from tests.both_databases import postgresql
from tests.crash.broker import Broker
from tests.databases import emptied
from tests.distributed.brokers import KINDS, running
from tests.distributed.rabbitmq import RabbitMQ
from tests.distributed.units import UNITS, Distributed
from tests.live import Api, wait_for

PROGRAMS = sorted(unit.name for unit in UNITS.iterdir())


@pytest.fixture(scope="module", params=KINDS)
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQ | Broker]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as own:
        yield own


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def console(
    broker: RabbitMQ | Broker, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Distributed]:
    directory = tmp_path_factory.mktemp("two")
    own = Distributed(directory, database=emptied(database), broker=broker.url)
    own.environment["VBASE_CLUSTER_DRIVER"] = "memory"
    try:
        own.start()
        for name in PROGRAMS:
            own.run_another(name)
        yield own
    finally:
        own.close()


@pytest.fixture(scope="module")
def api(console: Distributed) -> Api:
    return console.api()


def rows(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query).fetchall()


def consumers(database: str) -> list[str]:
    """The workers and sweepers that say that they take messages."""
    found = rows(database, "SELECT part FROM tasks_heartbeat WHERE part LIKE '%:%' AND is_working")
    return sorted(str(part).partition(":")[0] for (part,) in found)


def test_every_worker_and_sweeper_takes_messages(console: Distributed, database: str) -> None:
    wait_for(lambda: consumers(database) == ["sweeper", "sweeper", "worker", "worker"])
    for port in (console.port, console.second_port):
        wait_for(lambda port=port: console.reports("SERVING", port))


def test_both_workers_carry_tasks_out(console: Distributed, api: Api, database: str) -> None:
    workers = {console.programs[name].pid for name in ("worker", "worker2")}
    used: set[int] = set()
    for number in range(100):
        api.created(f"cluster {number}")
        ((name,),) = rows(database, "SELECT worker FROM tasks_task ORDER BY id DESC LIMIT 1")
        used.add(psutil.Process(int(str(name).rpartition(":")[2])).ppid())
        if used == workers:
            break
    assert used == workers


def test_no_program_is_refused_or_begins_again(console: Distributed) -> None:
    logs = "".join(console.log(key).read_text() for key in console.programs)
    assert [word for word in ("RESOURCE_LOCKED", "Traceback", ": lost") if word in logs] == []
    assert {key: program.poll() for key, program in console.programs.items()} == dict.fromkeys(
        console.programs
    )


def test_one_of_each_is_enough(console: Distributed, api: Api) -> None:
    for name in ("worker", "sweeper", "beat", "web"):
        console.programs[f"{name}2"].send_signal(signal.SIGKILL)
    api.created("after the loss")
    wait_for(lambda: console.reports("SERVING"))
