"""Memory holds one part's worth, however many rows go through the store."""

from __future__ import annotations

import subprocess
import sys

from tests.archive.test_memory import SCRIPT
from tests.s3.server import new_url

ON_S3 = SCRIPT.replace(
    "from backups.stores.local import LocalStore", "from backups.stores import load_store"
).replace("LocalStore(sys.argv[1])", "load_store(sys.argv[1])")


def peak(rows: int) -> int:
    command = [sys.executable, "-c", ON_S3, new_url(), str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    return int(done.stdout)


def test_ten_times_the_rows_take_a_fifth_more_memory_at_most(s3_url: str) -> None:
    """`s3_url` sets the variables that the processes inherit."""
    assert ON_S3 != SCRIPT
    assert peak(300_000) <= 1.2 * peak(30_000)
