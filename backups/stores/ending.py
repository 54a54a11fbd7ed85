"""End of a command that may have used a store."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

UNWRITTEN_OUTPUT = 120
"""Exit code of Python for output that cannot be written at the end."""


def run_and_end(command: Callable[[], object]) -> NoReturn:
    """Run a command and end the process with its exit code.

    The interpreter is not finalized after a use of the S3 client: a thread of the client that still
    sets the result of a request would abort the process (PyO3/pyo3-async-runtimes, issue 40).
    """
    status = _status_of(command)
    if "obstore" not in sys.modules:
        sys.exit(status)
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = status or UNWRITTEN_OUTPUT
    os._exit(status)


def _status_of(command: Callable[[], object]) -> int:
    """Return the exit code like the interpreter, and print a reason or an unexpected error."""
    try:
        command()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        sys.stderr.write(f"{end.code}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    return 0
