"""Which processes make up a console, with their command lines; no secret stands in any."""

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
"""Of each web process; beyond it the oldest one that has not sent its request is closed."""
KEEP_ALIVE_SECONDS = 75
ONLY_FOR_PREPARE = ("VBASE_OWNER_EMAIL", "VBASE_OWNER_PASSWORD", "VBASE_OWNER_PASSWORD_FILE")


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What `prepare` gets. The data directory is always named: so a process tells whose it is."""
    return {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        **own,
        "VBASE_DATA_DIR": str(settings.DATA_DIR),
        "PYTHONUNBUFFERED": "1",
    }


def console_programs(own: Mapping[str, str]) -> list[Program]:
    kept = {name: value for name, value in environment(own).items() if name not in ONLY_FOR_PREPARE}
    return [
        _program("web", _web(), kept, orphan_signal=signal.SIGQUIT),
        _program("worker", _worker(), kept, orphan_signal=signal.SIGQUIT),
        _program("sweeper", _sweeper(), kept, orphan_signal=signal.SIGKILL),
        _program("beat", _celery("beat", "--pidfile="), kept, orphan_signal=signal.SIGKILL),
    ]


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
    """Long tasks, each in a process of its own."""
    concurrency = str(settings.WORKER_CONCURRENCY)
    return _celery("worker", "-Q", "tasks", "-c", concurrency, *_node("tasks"), *_QUIET)


def _sweeper() -> tuple[str, ...]:
    """Sweeps have a worker of their own: long tasks in every process of the other one must not
    keep the dead ones' work from being found. One of its threads may be busy with the janitor, and
    one with the inventory scan.
    """
    queues = "sweeps,inventory"
    return _celery("worker", "-Q", queues, "-P", "threads", "-c", "4", *_node("sweeps"), *_QUIET)


def _node(name: str) -> tuple[str, str]:
    """A node name of its own for every worker: any number of consoles and units share a host."""
    return "-n", f"{name}-{uuid.uuid4()}@%h"


_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
"""Workers need nothing of each other. Celery's heartbeat would also keep a worker from ending for
ever where its broker ends first: who sends one waits for the broker, and who stops waits for that.
"""


def _celery(*arguments: str) -> tuple[str, ...]:
    level = ("--loglevel", settings.LOG_LEVEL)
    return (sys.executable, "-m", "celery", "-A", "vbase_console", *arguments, *level)
