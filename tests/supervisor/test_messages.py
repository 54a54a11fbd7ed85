"""The broker's handling of a message whose worker process dies; rows are not read here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import PROJECT, wait_for
from tests.ports import free_port
from vbase_console.supervisor import processes
from vbase_console.supervisor.broker import broker_program
from vbase_console.supervisor.child import Child

PASSWORD = "a-password"
NO_SWEEP_IN_TIME_SECONDS = 60
"""By default unacknowledged messages are looked at every 100 seconds."""

StartWorker = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """That of programs which find a broker of this test's own."""
    port = free_port()
    program = broker_program(tmp_path / "broker", port=port, password=PASSWORD, data_dir=tmp_path)
    broker = Child(program, tmp_path)
    broker.start()
    yield {
        **os.environ,
        "VBASE_DATA_DIR": str(tmp_path),
        "VBASE_BROKER_URL": f"redis://:{PASSWORD}@127.0.0.1:{port}/0",
        "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
    }
    broker.kill()


@pytest.fixture
def start_worker(environment: dict[str, str], tmp_path: Path) -> Iterator[StartWorker]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "tests.supervisor.trial_app", "worker"]
        with open(tmp_path / "worker.log", "ab") as log:
            started.append(
                subprocess.Popen(
                    [
                        *command,
                        "-Q",
                        "tasks",
                        "-c",
                        "1",
                        "-n",
                        f"trial{len(started)}@%h",
                        "-l",
                        "INFO",
                    ],
                    cwd=PROJECT,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )
        return started[-1]

    yield start
    for worker in started:
        kill(worker)


def kill(worker: subprocess.Popen[bytes]) -> None:
    processes.kill_all(processes.session_members(worker.pid))
    worker.wait()


def send(name: str, diary: Path, environment: dict[str, str]) -> None:
    call = f"from tests.supervisor.trial_app import app; app.send_task({name!r}, [{str(diary)!r}])"
    subprocess.run([sys.executable, "-c", call], env=environment, cwd=PROJECT, check=True)


def times_begun(diary: Path) -> int:
    return len(diary.read_text().splitlines()) if diary.exists() else 0


def test_a_task_whose_process_is_killed_is_run_again(
    start_worker: StartWorker, environment: dict[str, str], tmp_path: Path
) -> None:
    start_worker()
    send("trial.killed", tmp_path / "diary", environment)
    wait_for(lambda: times_begun(tmp_path / "diary") == 2, NO_SWEEP_IN_TIME_SECONDS)


def test_a_task_whose_worker_is_killed_is_given_to_the_other_soon(
    start_worker: StartWorker, environment: dict[str, str], tmp_path: Path
) -> None:
    """A worker that starts looks at once; one that runs has to look again."""
    workers = {worker.pid: worker for worker in (start_worker(), start_worker())}
    wait_for(lambda: (tmp_path / "worker.log").read_text().count(" ready.") == 2)
    send("trial.waiting", tmp_path / "diary", environment)
    wait_for(lambda: times_begun(tmp_path / "diary") == 1)
    kill(workers[os.getsid(int((tmp_path / "diary").read_text()))])
    wait_for(lambda: times_begun(tmp_path / "diary") == 2, NO_SWEEP_IN_TIME_SECONDS)


def test_a_worker_takes_no_message_that_it_cannot_begin(
    start_worker: StartWorker, environment: dict[str, str], tmp_path: Path
) -> None:
    """A task that waits behind a long one in one worker is executed by another free worker."""
    start_worker()
    for number in range(2):
        send("trial.waiting", tmp_path / f"diary{number}", environment)
    wait_for(lambda: times_begun(tmp_path / "diary0") == 1)
    start_worker()
    wait_for(lambda: times_begun(tmp_path / "diary1") == 1)
