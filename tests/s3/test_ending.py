"""A command that has used the S3 client ends with its output and exit code, without an abort."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.s3.server import KEY, SECRET, S3Server

PROJECT = Path(__file__).parents[2]
COMMAND = """
import atexit, sys
{imported}
from backups.stores.ending import run_and_end
atexit.register(print, "finalized")
def command():
    print("output " * 100)
    {end}
run_and_end(command)
"""


def end(end: str, *, imported: str = "import obstore", output: str = "") -> tuple[int, str, str]:
    """Run a command in a process of its own. Returns exit code, output and errors."""
    program = COMMAND.format(imported=imported, end=end)
    with open(output or os.devnull, "w") as file:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=file if output else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            check=False,
        )
    return done.returncode, done.stdout or "", done.stderr


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("return", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('The reason.')", 1, "The reason.\n"),
        ("raise ValueError('unexpected')", 1, "ValueError: unexpected\n"),
    ],
)
def test_output_and_exit_code_are_kept_without_finalizing(how: str, code: int, said: str) -> None:
    status, output, errors = end(how)
    assert (status, output) == (code, "output " * 100 + "\n")
    assert errors.endswith(said)
    assert bool(errors) == bool(said)


def test_a_command_without_a_store_ends_as_usual() -> None:
    assert end("sys.exit(3)", imported="")[:2] == (3, "output " * 100 + "\nfinalized\n")


def test_output_that_cannot_be_written_is_an_error() -> None:
    assert end("return", output="/dev/full")[0] == 120


def test_a_management_command_that_uses_the_store_ends_in_this_way(
    s3_server: S3Server, s3_url: str, tmp_path: Path
) -> None:
    environment = os.environ | {
        "VBASE_DATA_DIR": str(tmp_path),
        "VBASE_BACKUP_STORE": s3_url,
        "VBASE_S3_ENDPOINT": s3_server.endpoint,
        "VBASE_S3_ACCESS_KEY_ID": KEY,
        "VBASE_S3_SECRET_ACCESS_KEY": SECRET,
    }
    program = (
        "import atexit, runpy, sys; atexit.register(print, 'finalized'); "
        "sys.argv = ['manage.py', 'check_store', '--at-start']; "
        "runpy.run_path('manage.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("The backup store has all that is needed.\n")
