"""The distributed size on PostgreSQL and RabbitMQ: what holds with Valkey and SQLite holds here."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from kombu import Connection

from clusters.drivers.embedded.layout import file_lock
from tests.crash.broker import Broker
from tests.distributed.rabbitmq import RabbitMQ
from tests.distributed.units import Distributed, Logs
from tests.live import Api, wait_for
from vbase_console.api import health
from vbase_console.tasks import broker

PATIENCE_MILLISECONDS = 4_000
"""Longer than any message but that of a task which waits, also on a busy machine."""
PARTS = ("database", "broker", "worker", "beat")
pytestmark = pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True, scope="package")


@pytest.fixture(scope="module")
def rabbitmq(broker: RabbitMQ | Broker) -> RabbitMQ:
    assert isinstance(broker, RabbitMQ)
    return broker


@pytest.fixture(scope="module", autouse=True)
def _clusters_are_real(console: Distributed) -> None:
    """A task of a cluster with a server takes a second, and can be disturbed."""
    assert console.end("web") == [0]
    console.run("web", VBASE_CLUSTER_DRIVER="embedded")
    console.wait_until_up()


def test_every_part_of_it_is_at_work(console: Distributed) -> None:
    components = console.health()["components"]
    assert [components[part]["status"] for part in PARTS] == ["SERVING"] * len(PARTS)


def test_beat_knows_every_sweep(console: Distributed) -> None:
    assert "Cannot add entry" not in console.log("beat").read_text()


def test_a_message_alone_wakes_the_worker(api: Api, console: Distributed) -> None:
    assert console.end("beat", "sweeper") == [0, 0]
    cluster = api.created("woken")
    api.delete(f"/clusters/{cluster['clusterId']}")
    api.wait_for_status(cluster, "DELETED")
    console.run("sweeper")
    console.run("beat")
    wait_for(lambda: console.reports("SERVING"))


def test_a_worker_that_the_broker_refuses_degrades_health(
    console: Distributed, rabbitmq: RabbitMQ
) -> None:
    """RabbitMQ refuses a queue to all others while one consumer has it for itself."""
    assert console.end("worker") == [0]
    logs = Logs(console)
    with Connection(rabbitmq.url) as connection, connection.channel() as channel:
        channel.basic_consume("tasks", no_ack=True, exclusive=True)
        console.run("worker")
        wait_for(lambda: "1 of 2 workers and sweepers take no messages" in _of_worker(console))
        assert console.programs["worker"].poll() is None
    wait_for(lambda: logs.have("back", "worker"))
    wait_for(lambda: console.reports("SERVING"))
    assert logs.moves("worker") == [("broker", "lost"), ("broker", "back")]
    assert "Traceback" not in logs.of("worker")


def _of_worker(console: Distributed) -> str:
    return str(console.health()["components"]["worker"]["message"])


@dataclasses.dataclass(frozen=True)
class Outage:
    health: dict[str, Any]
    accepted: dict[str, Any]
    """Cluster that was requested without a broker."""
    status: str


@pytest.fixture(scope="module")
def outage(api: Api, console: Distributed, rabbitmq: RabbitMQ) -> Outage:
    """RabbitMQ was gone while a task was running. It is back, with a time-out of seconds."""
    begun = api.create("begun")
    wait_for(lambda: api.tasks(begun)[0]["status"] == "RUNNING")
    rabbitmq.kill()
    accepted = api.create("accepted")
    api.wait_for_status(begun, "RUNNING")
    health = wait_for(lambda: _without_broker(console.health()))
    status = api.status(accepted)
    rabbitmq.start(f"-rabbit consumer_timeout {PATIENCE_MILLISECONDS}")
    return Outage(health, accepted, status)


def _without_broker(answer: dict[str, Any]) -> dict[str, Any] | None:
    """One answer, whole: the next one may come from a process that has not noticed yet."""
    return answer if answer["components"]["broker"]["status"] == "NOT_SERVING" else None


def test_a_broker_that_is_gone_for_a_while_loses_nothing(
    api: Api, console: Distributed, outage: Outage
) -> None:
    assert outage.health["status"] == "DEGRADED"
    assert outage.status == "CREATING"
    api.wait_for_status(outage.accepted, "RUNNING")
    wait_for(lambda: console.reports("SERVING"))


@pytest.mark.usefixtures("outage")
def test_a_task_may_outlast_the_brokers_patience_with_its_message(
    api: Api, console: Distributed
) -> None:
    """RabbitMQ closes the channel of a worker that has not acknowledged within half an hour."""
    logs = Logs(console)
    with file_lock(console.data_dir / "clusters" / "ports.lock"):
        cluster = api.create("slow")
        wait_for(lambda: "PRECONDITION_FAILED" in logs.of("worker"))
    api.wait_for_status(cluster, "RUNNING")
    (task,) = api.tasks(cluster)
    assert max(event["attempt"] for event in api.events(cluster, task["taskId"])) == 1
    api.delete(f"/clusters/{cluster['clusterId']}")
    api.wait_for_status(cluster, "DELETED")
    assert console.programs["worker"].poll() is None


def test_it_cuts_no_connection_that_is_idle(console: Distributed, rabbitmq: RabbitMQ) -> None:
    assert "missed heartbeats" not in rabbitmq.log.read_text()


def test_it_tells_how_many_messages_wait(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.settings, "CELERY_TASK_DEFAULT_QUEUE", "unheard")
    monkeypatch.setattr(
        broker.current_app, "connection_for_write", lambda: Connection(rabbitmq.url)
    )
    assert broker.broker.backlog() == 0
    with Connection(rabbitmq.url) as connection, connection.SimpleQueue("unheard") as queue:
        for number in range(3):
            queue.put(number)
    wait_for(lambda: broker.broker.backlog() == 3)


def test_a_broker_that_refuses_the_password_does_not_serve(
    rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = f"amqp://guest:wrong@{rabbitmq.address}"
    monkeypatch.setattr(
        health.app, "connection_for_write", lambda **options: Connection(wrong, **options)
    )
    assert health._reach_broker() is False


def test_its_programs_end_when_they_are_asked_to(console: Distributed) -> None:
    assert set(console.end()) == {0}
