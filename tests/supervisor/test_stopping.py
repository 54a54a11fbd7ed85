"""Ctrl-C leaves nothing; whatever ends the console, the next start finds its way back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import PROJECT, Console, a_console, wait_for
from tests.vectors import nearest, rows_of, store
from vbase_console.supervisor.processes import is_alive
from vbase_console.supervisor.signals import SECOND_SIGNAL_AFTER_SECONDS, StopRequest


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console of these tests' own, on one data directory; none leaves a cluster there."""
    with a_console(tmp_path_factory.mktemp("stopping") / "data") as own:
        yield own


@pytest.fixture
def own(stopped: Console) -> Console:
    """It runs, whatever the test before did to it."""
    return stopped if stopped.is_running() else stopped.start()


def test_ctrl_c_stops_all_and_the_next_start_brings_clusters_back(own: Console) -> None:
    """`stop` waits no longer than the console may take."""
    api = own.api()
    cluster = api.created("kept")
    store(api.access(cluster), range(100))
    assert own.stop() == 0
    assert own.processes() == []
    own.start()
    assert "Clusters that start again: 1." in own.said
    assert "WARNING" not in "".join(own.said)
    api.wait_for_status(cluster, "RUNNING")
    assert rows_of(api.access(cluster)) == set(range(100))
    assert nearest(api.access(cluster), 7) == 7
    api.delete(f"/clusters/{cluster['clusterId']}")
    api.wait_for_status(cluster, "DELETED")


def test_what_outlived_a_kill_is_ended_by_the_next_start(own: Console) -> None:
    stopped = own.leader("celery", "worker", "tasks")
    stopped.send_signal(signal.SIGSTOP)
    own.kill()
    own.start()
    assert any("left behind by a killed console" in line for line in own.said)
    assert stopped not in own.processes()


def test_after_a_kill_nothing_is_left_and_the_next_start_works(own: Console) -> None:
    own.kill()
    own.wait_until_nothing_is_left()
    own.start()
    assert own.stop(signal.SIGTERM) == 0


def test_make_that_is_interrupted_alone_stops_the_console(
    stopped: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GNU make passes a SIGTERM on to its child, but not a SIGINT that did not come from a
    terminal.
    """
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"run:\n\t@exec {sys.executable} -m vbase_console.supervisor\n")
    if stopped.is_running():
        stopped.stop()
    monkeypatch.setattr(stopped, "command", ["make", "-f", str(makefile)])
    stopped.start().stop(signal.SIGINT)
    assert stopped.processes() == []


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Its first start, with a relative data directory, and Ctrl-C before it is up."""
    data_dir = tmp_path_factory.mktemp("interrupted") / "data"
    with contextlib.closing(
        Console(data_dir, VBASE_DATA_DIR=os.path.relpath(data_dir, PROJECT))
    ) as own:
        own.begin()
        own.wait_until_said("Preparing the database")
        yield own


def test_the_supervisor_itself_says_which_data_directory_it_is_on(interrupted: Console) -> None:
    assert interrupted.process is not None
    seen = psutil.Process(interrupted.process.pid).environ()["VBASE_DATA_DIR"]
    assert Path(seen).is_absolute()
    assert Path(seen).resolve() == interrupted.data_dir.resolve()


def test_a_first_start_that_is_interrupted_shows_the_password_or_has_made_none(
    interrupted: Console,
) -> None:
    """It may have been ended before it came to that; then the next start makes it, and shows it."""
    assert interrupted.stop() == 0
    said = [*interrupted.said, interrupted.manage("prepare")]
    assert "\n".join(said).count("with the password") == 1


def test_a_process_lives_until_its_last_thread_has_ended() -> None:
    """Until then its port is taken, although its first thread is a zombie."""
    code = (
        "import ctypes, threading\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        process = psutil.Process(child.pid)
        wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert is_alive(process)
        child.kill()
        wait_for(lambda: not is_alive(process))


def test_a_child_ends_with_its_parent_also_where_that_signal_was_ignored() -> None:
    """As SIGINT and SIGQUIT are in the background of a script."""
    code = (
        "import signal, subprocess\n"
        "from vbase_console.supervisor.processes import dies_with_parent\n"
        "signal.signal(signal.SIGQUIT, signal.SIG_IGN)\n"
        "end = dies_with_parent(signal.SIGQUIT)\n"
        "print(subprocess.Popen(['sleep', '600'], preexec_fn=end, stdout=-3).pid)"
    )
    child = int(subprocess.check_output([sys.executable, "-c", code], cwd=PROJECT))
    wait_for(lambda: not psutil.pid_exists(child) or not is_alive(psutil.Process(child)))


def test_a_second_ctrl_c_hurries() -> None:
    interruption = StopRequest()
    with _own_handlers():
        interruption.listen()
        os.kill(os.getpid(), signal.SIGINT)
        assert (interruption.requested, interruption.hurried) == (True, False)
        time.sleep(SECOND_SIGNAL_AFTER_SECONDS + 0.1)
        os.kill(os.getpid(), signal.SIGINT)
    assert interruption.hurried


def test_a_signal_that_make_passes_on_again_does_not_hurry() -> None:
    interruption = StopRequest()
    with _own_handlers():
        interruption.listen()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
    assert not interruption.hurried


@contextlib.contextmanager
def _own_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
