"""Command lines of web, gRPC, worker, sweeper and beat. No command line contains a secret."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from vbase_console.supervisor.child import Program
from vbase_console.supervisor.startup import address_of

WEB_WORKERS = 2
WEB_THREADS = 8
WEB_CONNECTIONS = 500
"""Limit of each web process. Above it the oldest connection without a full request is closed."""
KEEP_ALIVE_SECONDS = 75
ONLY_FOR_PREPARE = ("VBASE_OWNER_EMAIL", "VBASE_OWNER_PASSWORD", "VBASE_OWNER_PASSWORD_FILE")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of `prepare`. VBASE_DATA_DIR is always set, because it identifies the
    processes of a console.
    """
    return {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        **own,
        "VBASE_DATA_DIR": str(settings.DATA_DIR),
        "PYTHONUNBUFFERED": "1",
    }


def console_programs(own: Mapping[str, str], *, with_grpc: bool) -> list[Program]:
    variables = environment(own).items()
    shared = {name: value for name, value in variables if name not in ONLY_FOR_PREPARE}
    programs = [
        _program("web", _web(), shared, orphan_signal=signal.SIGQUIT),
        _program("worker", _worker(), shared, orphan_signal=signal.SIGQUIT),
        _program("sweeper", _sweeper(), shared, orphan_signal=signal.SIGKILL),
        _program("beat", _celery("beat", "--pidfile="), shared, orphan_signal=signal.SIGKILL),
    ]
    if with_grpc:
        command = (sys.executable, "-m", "vbase_console.rpc")
        programs.append(_program("grpc", command, shared, orphan_signal=signal.SIGKILL))
    return programs


def prepare_command() -> list[str]:
    return [sys.executable, str(project() / "manage.py"), "prepare"]


def project() -> Path:
    return Path(settings.BASE_DIR)


def _program(
    name: str,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    orphan_signal: signal.Signals = signal.SIGTERM,
) -> Program:
    return Program(
        name=name,
        command=command,
        environment=environment,
        directory=project(),
        orphan_signal=orphan_signal,
    )


def _web() -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "gunicorn", "vbase_console.wsgi"),
        *("--bind", address_of(settings.HOST, settings.PORT)),
        *("--worker-class", "vbase_console.web_server.worker.ReceivingWorker"),
        *("--workers", str(WEB_WORKERS), "--threads", str(WEB_THREADS)),
        *("--worker-connections", str(WEB_CONNECTIONS), "--keep-alive", str(KEEP_ALIVE_SECONDS)),
        *("--graceful-timeout", "3", "--preload", "--no-control-socket"),
    )


def _worker() -> tuple[str, ...]:
    concurrency = str(settings.WORKER_CONCURRENCY)
    return _celery("worker", "-Q", "tasks", "-c", concurrency, *_node("tasks"), *_QUIET)


def _sweeper() -> tuple[str, ...]:
    """Sweeps have their own worker, so that long tasks do not delay the takeover of dead workers'
    tasks. One of its threads may be busy with the janitor and one with the inventory scan.
    """
    queues = "sweeps,inventory"
    return _celery("worker", "-Q", queues, "-P", "threads", "-c", "4", *_node("sweeps"), *_QUIET)


def _node(name: str) -> tuple[str, str]:
    """Return a unique node name, so that any number of consoles and units can share a host."""
    return "-n", f"{name}-{uuid.uuid4()}@%h"


_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""Options that stop messages among workers. With Celery's heartbeat a worker never ends if its
broker ends first: the heartbeat waits for the broker, and the stop waits for the heartbeat.
"""


def _celery(*arguments: str) -> tuple[str, ...]:
    level = ("--loglevel", settings.LOG_LEVEL)
    return (sys.executable, "-m", "celery", "-A", "vbase_console", *arguments, *level)
