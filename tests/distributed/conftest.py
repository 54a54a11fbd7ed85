"""One console of the distributed size, on PostgreSQL and a broker, which two files share.

`tests/order.py` keeps these files together.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.both_databases import Postgresql, postgresql_server
from tests.crash.broker import Broker
from tests.databases import emptied
from tests.distributed.brokers import KINDS, running
from tests.distributed.rabbitmq import RabbitMQ
from tests.distributed.units import Distributed
from tests.live import Api


@pytest.fixture(scope="package")
def postgresql() -> Iterator[Postgresql]:
    with postgresql_server() as own:
        yield own


@pytest.fixture(scope="package", params=KINDS)
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitMQ | Broker]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as own:
        yield own


@pytest.fixture(scope="package")
def console(
    broker: RabbitMQ | Broker, postgresql: Postgresql, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Distributed]:
    directory = tmp_path_factory.mktemp("distributed")
    own = Distributed(directory, database=emptied(postgresql.url), broker=broker.url)
    own.environment["VBASE_CLUSTER_DRIVER"] = "memory"
    try:
        yield own.start()
    finally:
        own.close()


@pytest.fixture(scope="package")
def api(console: Distributed) -> Api:
    return console.api()
