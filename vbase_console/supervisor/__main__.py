"""Process group of `make run`: start, watch and stop all processes, and the clusters."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vbase_console.settings.embedded")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from clusters.drivers.embedded.shutdown import stop_all
from vbase_console.settings.env import env_secret, env_str, generated_secret
from vbase_console.supervisor import processes, ready_message, startup
from vbase_console.supervisor.broker import broker_program, write_url
from vbase_console.supervisor.child import Program
from vbase_console.supervisor.group import TICK_SECONDS, Group
from vbase_console.supervisor.programs import console_programs, environment, prepare_command
from vbase_console.supervisor.signals import StopRequest
from vbase_console.supervisor.startup import (
    StartRefused,
    free_port,
    only_console,
    reachable,
    require_free,
)

GRPC_SECONDS = 15.0
PROGRAMS_SECONDS = 5.0
CLUSTERS_SECONDS = 6.0
BROKER_SECONDS = 1.5
"""Time-outs of a stop. Their sum is below the 15 seconds in which all processes must end."""
FORCED_STOP_TIMEOUT_SECONDS = 1.5


def main() -> int:
    os.umask(0o077)
    try:
        _mark_own_process()
        make_directories(settings.DATA_DIR)
        with only_console(settings.DATA_DIR, ready_message.address()):
            return Supervisor().run()
    except (StartRefused, ImproperlyConfigured) as refusal:
        print(f"The console was not started. {refusal}", file=sys.stderr, flush=True)  # noqa: T201
        return 1


def _mark_own_process() -> None:
    """Restart this program with VBASE_DATA_DIR set, because other processes identify it by the
    environment that it was started with.
    """
    data_dir = str(settings.DATA_DIR)
    if os.environ.get("VBASE_DATA_DIR") != data_dir:
        command = [sys.executable, "-m", "vbase_console.supervisor"]
        os.execve(sys.executable, command, {**os.environ, "VBASE_DATA_DIR": data_dir})  # noqa: S606


def make_directories(data_dir: Path) -> None:
    try:
        for directory in (data_dir, data_dir / "run", data_dir / "logs", data_dir / "secrets"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
    except OSError as error:
        raise StartRefused(
            f"{error}. Set VBASE_DATA_DIR to a directory that you can write to."
        ) from error


class Supervisor:
    def __init__(self) -> None:
        self._data_dir: Path = settings.DATA_DIR
        self._run_directory = self._data_dir / "run"
        self._stop_request = StopRequest()
        self._group = Group(self._run_directory, self._data_dir / "logs", say)
        self._own_environment = dict(os.environ)
        self._has_grpc = False

    def run(self) -> int:
        self._stop_request.listen()
        processes.adopt_orphans()
        ended = startup.end_recorded(self._run_directory / "sessions.json", self._data_dir)
        if ended:
            say(f"Ended {ended} processes left behind by a killed console.")
        require_free(settings.HOST, settings.PORT, "VBASE_PORT or VBASE_HOST")
        self._has_grpc = self._can_serve_grpc()
        try:
            self._start_and_watch()
        finally:
            self._stop()
        return 0

    def _can_serve_grpc(self) -> bool:
        """Check the port of gRPC. If it is taken and was not chosen, the console is started without
        gRPC, and the reason is printed.
        """
        try:
            variables = "VBASE_GRPC_PORT or VBASE_GRPC_HOST"
            require_free(settings.GRPC_HOST, settings.GRPC_PORT, variables)
        except StartRefused as refusal:
            if env_str("VBASE_GRPC_PORT", ""):
                raise
            say(f"gRPC is not served. {refusal}")
            return False
        return True

    def _start_and_watch(self) -> None:
        if not env_secret("VBASE_BROKER_URL"):
            self._group.start([self._broker()])
        say("Preparing the database.")
        sign_in = self._prepare()
        is_up = False
        try:
            if not self._stop_request.requested:
                programs = console_programs(self._own_environment, with_grpc=self._has_grpc)
                self._group.start(programs)
                say(f"Started {', '.join(self._group.names)}.")
                self._watch(until=_web_answers)
                deadline = time.monotonic() + GRPC_SECONDS
                self._watch(until=lambda: not self._has_grpc or _grpc_accepts(deadline))
            is_up = not self._stop_request.requested
        finally:  # a generated password can be shown only now
            ready = ready_message.ready(sign_in, has_grpc=self._has_grpc)
            say(ready if is_up else sign_in.strip())
        self._watch(until=lambda: False)

    def _prepare(self) -> str:
        """Run `prepare`. Returns sign-in instructions, which may show a generated password."""
        process = subprocess.Popen(  # noqa: S603 - our own command
            prepare_command(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(self._own_environment),
            cwd=settings.BASE_DIR,
            text=True,
            start_new_session=True,
        )
        output = self._read_output(process)
        if process.returncode != 0 and not self._stop_request.requested:
            raise StartRefused("The database could not be prepared. See the error above.")
        return output

    def _read_output(self, process: subprocess.Popen[str]) -> str:
        """Read all output. A requested stop waits for the process as long as for other programs."""
        while not self._stop_request.requested:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=TICK_SECONDS)[0]
        try:
            return process.communicate(timeout=self._patience(PROGRAMS_SECONDS))[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]

    def _broker(self) -> Program:
        """Return the broker with a new port, which stays the same while the console runs."""
        password = generated_secret(settings.BROKER_PASSWORD_FILE)
        port = free_port()
        write_url(settings.BROKER_URL_FILE, port=port, password=password)
        directory = self._data_dir / "broker"
        return broker_program(directory, port=port, password=password, data_dir=self._data_dir)

    def _watch(self, *, until: Callable[[], bool]) -> None:
        while not self._stop_request.requested and not until():
            self._group.tend()
            time.sleep(TICK_SECONDS)

    def _stop(self) -> None:
        say("Stopping.")
        programs = [name for name in self._group.names if name != "broker"]
        self._stop_programs(programs, PROGRAMS_SECONDS)
        stopped = stop_all(self._data_dir, self._patience(CLUSTERS_SECONDS))
        if stopped:
            say(f"Clusters stopped: {len(stopped)}. The next start of the console starts them.")
        self._stop_programs(["broker"], BROKER_SECONDS)
        self._group.kill_rest()
        say("Stopped.")

    def _stop_programs(self, names: list[str], seconds: float) -> None:
        self._group.stop(
            names,
            timeout_seconds=self._patience(seconds),
            hurried=lambda: self._stop_request.hurried,
        )

    def _patience(self, seconds: float) -> float:
        return min(seconds, FORCED_STOP_TIMEOUT_SECONDS) if self._stop_request.hurried else seconds


def say(text: str) -> None:
    """Print and flush, because users and scripts wait for these lines."""
    print(text, flush=True)  # noqa: T201 - the interface of this program is the terminal


def _grpc_accepts(deadline: float) -> bool:
    """True if gRPC accepts connections, or if it has had its time: its log has the reason then."""
    address = reachable(settings.GRPC_HOST), settings.GRPC_PORT
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return time.monotonic() > deadline
    return True


def _web_answers() -> bool:
    connection = http.client.HTTPConnection(reachable(settings.HOST), settings.PORT, timeout=1)
    try:
        connection.request("GET", "/v1/vbase/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
