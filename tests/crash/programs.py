"""Worker programs that begin with the libraries imported, so that hundreds of them are affordable.

Each is forked from a server that has imported what they all need and has done nothing else: no
settings are read there, no database and no channel is open, because these do not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess

PATIENCE_SECONDS = 120

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["celery", "django.db.models", "django.forms", "pyarrow.compute", "pyarrow.parquet", "pymilvus"]
)


class Program:
    """A process that runs `main`; known by the same words as a Popen.

    The module of `main` is imported before the environment is set, so it must not read settings
    when it is imported.
    """

    def __init__(
        self, main: Callable[..., None], *arguments: object, environment: Mapping[str, str]
    ) -> None:
        process = _server.Process(
            target=_run, args=(main, arguments, dict(environment)), daemon=True
        )
        process.start()
        self._process: ForkServerProcess = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Its exit code; minus the signal that ended it."""
        self._process.join(timeout_seconds)
        assert self._process.exitcode is not None, "The program did not end."
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(
    main: Callable[..., None], arguments: tuple[object, ...], environment: Mapping[str, str]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    main(*arguments)
