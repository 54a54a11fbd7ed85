"""The database and the broker go and come back. Every program logs that with two lines."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.both_databases import Postgresql, postgresql_server
from tests.crash.broker import Broker
from tests.databases import emptied
from tests.distributed.brokers import KINDS, running
from tests.distributed.rabbitmq import RabbitMQ
from tests.distributed.units import Distributed, Logs
from tests.live import Api, wait_for

PROGRAMS = ("web", "worker", "sweeper", "beat")
LONGEST_LINE = 400
"""Bytes; an outage used to fill hundreds of thousands."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Postgresql]:
    with postgresql_server() as own:
        yield own


@pytest.fixture(scope="module", params=KINDS)
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQ | Broker]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as own:
        yield own


@pytest.fixture(scope="module")
def console(
    broker: RabbitMQ | Broker, postgresql: Postgresql, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Distributed]:
    directory = tmp_path_factory.mktemp("outages")
    own = Distributed(directory, database=emptied(postgresql.url), broker=broker.url)
    own.environment |= {"VBASE_CLUSTER_DRIVER": "memory", "WEB_CONCURRENCY": "1"}
    own.environment["VBASE_LOG_LEVEL"] = "WARNING"  # the outages only
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture(scope="module")
def api(console: Distributed) -> Api:
    return console.api()


@pytest.fixture
def logs(console: Distributed) -> Logs:
    wait_for(lambda: console.reports("SERVING"))
    return Logs(console)


def test_an_outage_of_the_database_is_two_lines_in_every_log(
    console: Distributed, api: Api, postgresql: Postgresql, logs: Logs
) -> None:
    postgresql.stop()
    refused = [api.http.get("/me").status_code for _ in range(3)]
    page = httpx.get(f"{console.url}/sign-in", headers=console.headers, timeout=30)
    wait_for(lambda: logs.have("lost", *PROGRAMS))
    postgresql.start()
    wait_for(lambda: console.reports("SERVING"))
    wait_for(lambda: logs.have("back", *PROGRAMS))
    assert refused == [503, 503, 503]
    assert page.status_code in (200, 503)
    hold_two_lines(console, logs, about="database")


def test_an_outage_of_the_broker_is_two_lines_in_every_log(
    console: Distributed, api: Api, broker: RabbitMQ | Broker, logs: Logs
) -> None:
    broker.kill()
    clusters = [api.create(f"accepted {number}") for number in range(3)]
    wait_for(lambda: logs.have("lost", *PROGRAMS))
    broker.start()
    for cluster in clusters:
        api.wait_for_status(cluster, "RUNNING")
    api.created("told again")
    wait_for(lambda: logs.have("back", *PROGRAMS))
    wait_for(lambda: console.reports("SERVING"))
    hold_two_lines(console, logs, about="broker")


def hold_two_lines(console: Distributed, logs: Logs, *, about: str) -> None:
    """Every program has gone on, and its log holds nothing else."""
    for name in PROGRAMS:
        assert console.programs[name].poll() is None
        assert logs.moves(name) == [(about, "lost"), (about, "back")], (name, logs.of(name))
        assert "Traceback" not in logs.of(name)
        assert len(logs.of(name)) < 2 * LONGEST_LINE, logs.of(name)


def test_a_restart_of_the_database_fails_no_later_request(
    api: Api, postgresql: Postgresql, logs: Logs
) -> None:
    postgresql.stop()
    postgresql.start()
    assert {api.http.get("/me").status_code for _ in range(20)} == {200}
