"""What a process of the console imports before it has anything to do."""

from __future__ import annotations

import subprocess
import sys

READS_ROWS = {"numpy", "pandas", "pyarrow", "pymilvus"}
PROGRAM = f"""
import sys
import django
django.setup()
import vbase_console.urls
from vbase_console.celery import app
app.loader.import_default_modules()
sys.exit(" ".join(sorted({READS_ROWS} & set(sys.modules))) or 0)
"""


def test_web_and_workers_start_without_what_reads_rows() -> None:
    started = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
