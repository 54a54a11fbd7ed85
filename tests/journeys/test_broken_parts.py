"""Parts of the console die while work is under way; nothing is lost."""

from __future__ import annotations

import shutil
import signal

from tests.live import Api, Console, wait_for

WORKER = ("celery", "worker", "tasks")
BROKER = ("valkey-server",)


def test_a_deployment_outlives_its_worker(api: Api, console: Console) -> None:
    since = len(console.said)
    cluster = api.create("orphaned")
    (task,) = api.tasks(cluster)
    wait_for(lambda: _state(api, cluster) != "PENDING")
    console.leader(*WORKER).kill()
    console.wait_until_said("worker runs again", since)
    api.wait_for_status(cluster, "RUNNING")
    assert [each["taskId"] for each in api.tasks(cluster)] == [task["taskId"]]


def test_nothing_is_lost_while_the_broker_is_silent(api: Api, console: Console) -> None:
    broker = console.leader(*BROKER)
    broker.send_signal(signal.SIGSTOP)
    cluster = api.create("unheard")
    broker.send_signal(signal.SIGCONT)
    api.wait_for_status(cluster, "RUNNING")


def test_nothing_is_lost_when_the_broker_forgets_everything(api: Api, console: Console) -> None:
    broker, since = console.leader(*BROKER), len(console.said)
    broker.send_signal(signal.SIGSTOP)
    cluster = api.create("forgotten")
    shutil.rmtree(console.data_dir / "broker" / "appendonlydir")
    broker.kill()
    console.wait_until_said("broker runs again", since)
    api.wait_for_status(cluster, "RUNNING")


def _state(api: Api, cluster: dict[str, str]) -> str:
    return str(api.tasks(cluster)[0]["status"])
