"""Files that the suite names exist, also after one of them was renamed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.both_databases import USUAL
from tests.live import PROJECT
from tests.order import (
    LONG,
    WITH_THE_DISTRIBUTED_CONSOLE,
    WITH_THE_PRESSED_CONSOLE,
    WITH_THE_S3_SERVER,
    WITH_THE_SHARED_CONSOLE,
)

UNDER_TESTS = USUAL.not_on_sqlite + USUAL.not_on_postgresql
NAMED = (
    *WITH_THE_SHARED_CONSOLE,
    *WITH_THE_S3_SERVER,
    *WITH_THE_DISTRIBUTED_CONSOLE,
    *WITH_THE_PRESSED_CONSOLE,
    *LONG,
    *(f"tests/{path}" for path in UNDER_TESTS),
)


@pytest.mark.parametrize("path", NAMED)
def test_every_file_that_is_named_is_there(path: str) -> None:
    assert (PROJECT / path).exists()


def test_every_file_runs_on_one_database_at_least() -> None:
    sqlite, postgresql = map(_files, (USUAL.not_on_sqlite, USUAL.not_on_postgresql))
    assert sqlite & postgresql == set()


def _files(paths: tuple[str, ...]) -> set[Path]:
    """Return the files that the paths name, those in folders included."""
    named = [PROJECT / "tests" / path for path in paths]
    return {file for path in named for file in ([path] if path.is_file() else path.rglob("*.py"))}


def test_the_runner_leaves_the_settings_to_the_suites() -> None:
    """An import of the console sets them to those of the embedded size, also for the suites."""
    program = "import tests.both_databases, sys; sys.exit('vbase_console' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT).returncode == 0
