"""A real broker that is killed and comes back empty, and a real Celery worker."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings
from kombu import Connection

from clusters.models import Cluster
from clusters.services import create_cluster
from tests.crash.broker import Broker, celery
from tests.crash.processes import wait_until
from vbase_console.celery import app
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as task_services
from vbase_console.tasks.broker import broker
from vbase_console.tasks.models import Heartbeat, Task
from vbase_console.tasks.sweeps import sweep_tasks

for_real = {"wake": task_services.wake, "wake_all": task_services.wake_all}


@pytest.fixture
def valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """This process sends its messages there, as a web process would."""
    own, send_task = Broker(tmp_path), app.send_task

    def send(name: str, arguments: tuple[str], **options: object) -> None:
        with Connection(own.url, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as way:
            send_task(name, arguments, connection=way, **options)

    for name, function in for_real.items():
        monkeypatch.setattr(task_services, name, function)
    monkeypatch.setattr("vbase_console.tasks.broker.current_app.send_task", send)
    monkeypatch.setattr(broker, "backlog", lambda: 0)
    monkeypatch.setattr("vbase_console.tasks.broker.BROKER_RETRY_INTERVAL_SECONDS", 0.0)
    yield own
    own.kill()


class Worker:
    """One that ends is started again, as its supervisor would: kombu lets a worker fall whose
    broker goes in the middle of a message.
    """

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start, self._process = start, start()

    def look_after(self) -> None:
        if self._process.poll() is not None:
            self._process = self._start()


@pytest.fixture
def celery_worker(valkey: Broker, transactional_db: None, tmp_path: Path) -> Iterator[Worker]:
    command = "worker -c 2 -Q tasks --without-gossip --without-mingle --without-heartbeat"
    with ExitStack() as running:
        yield Worker(lambda: running.enter_context(celery(command, valkey, tmp_path)))


@pytest.fixture
def seen_by_the_worker(tmp_path: Path) -> Path:
    return tmp_path / "memory-clusters"


def test_what_was_accepted_while_the_broker_was_gone_is_done_when_it_is_back(
    celery_worker: Worker, valkey: Broker, principal: Principal
) -> None:
    first, _ = create_cluster(principal, name="before")
    wait_until(lambda: _runs(first, celery_worker), "the worker has done what a message told it")
    wait_until(lambda: _has_acknowledged(valkey), "the worker has acknowledged every message")
    valkey.kill()
    second, task = create_cluster(principal, name="meanwhile")
    task.refresh_from_db()
    assert (task.state, task.woken_at) == ("PENDING", None)
    assert sweep_tasks() == 0
    valkey.start()
    wait_until(lambda: sweep_tasks() > 0, "a sweep has sent the message")
    wait_until(lambda: _runs(second, celery_worker), "a worker has come back and done it")
    assert list(Task.objects.values_list("epoch", flat=True)) == [1, 1]
    wait_until(reports_its_slots, "the worker has reported how many tasks it runs at a time")


def _runs(cluster: Cluster, worker: Worker) -> bool:
    worker.look_after()
    sweep_tasks()
    return Cluster.objects.get(pk=cluster.pk).status == "RUNNING"


def reports_its_slots() -> bool:
    return Heartbeat.objects.of_live_workers().filter(slots=2).exists()


def _has_acknowledged(valkey: Broker) -> bool:
    """Without this wait the broker may go while the worker acknowledges: Celery 5.7 can then wait
    for ever for a connection that it has given up.
    """
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    with Connection(valkey.url, transport_options=options) as connection:
        return not connection.default_channel.client.exists("unacked")
