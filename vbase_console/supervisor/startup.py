"""Conditions of a start: one console per data directory, free ports, no leftover processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from vbase_console.supervisor import processes


class StartRefused(Exception):
    """The console cannot be started. The message contains the reason and a remedy."""


@contextlib.contextmanager
def only_console(data_dir: Path, address: str) -> Iterator[None]:
    """Lock the data directory until the block ends. The kernel unlocks it if the process dies."""
    descriptor = os.open(data_dir / "run" / "console.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid, _, address = os.pread(descriptor, 200, 0).decode().partition(" ")
            raise StartRefused(
                f"A console already runs on {data_dir}: process {pid or '(starting)'}, {address}. "
                "Stop it first, or set another VBASE_DATA_DIR and VBASE_PORT for this one."
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {address}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


LOOPBACK = "127.0.0.1"
_PORTS = range(15_000, 19_000)
"""Below Milvus's 19530, the ports of clusters, and those of outgoing connections."""
EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared with, not bound to


def require_free(host: str, port: int, variables: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        raise StartRefused(
            f"{address_of(host, port)} cannot be used: {error.strerror or error}. "
            f"Choose another {variables}, or stop the program that uses it."
        ) from error


def free_port() -> int:
    """Choose a port that no outgoing connection and no cluster takes before a program starts."""
    ports = list(_PORTS)
    random.shuffle(ports)
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise StartRefused(f"No port from {_PORTS.start} to {_PORTS.stop - 1} is free on {LOOPBACK}.")


def address_of(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(host: str) -> str:
    """Return the address at which this machine reaches a server that is bound to `host`."""
    return EVERYWHERE.get(host, host)


def record(file: Path, sessions: list[int]) -> None:
    """Record the session ids of the children atomically."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(sessions))
    new.replace(file)


def end_recorded(file: Path, data_dir: Path) -> int:
    leftovers = [
        process
        for session in _recorded(file)
        for process in processes.session_members(session)
        if _belongs_to(process, data_dir)
    ]
    processes.kill_all(leftovers)
    return len(leftovers)


def _recorded(file: Path) -> list[int]:
    try:
        return [int(session) for session in json.loads(file.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _belongs_to(process: psutil.Process, data_dir: Path) -> bool:
    """Compare VBASE_DATA_DIR, because the kernel reuses session ids."""
    with contextlib.suppress(psutil.Error):
        return process.environ().get("VBASE_DATA_DIR") == str(data_dir)
    return False
