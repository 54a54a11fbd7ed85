"""What a process imports before it has anything to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

CONSOLE = """
import django
django.setup()
import vbase_console.urls
from vbase_console.celery import app
app.loader.import_default_modules()
"""
CLUSTER = """
from clusters.drivers.embedded.protocol import leave_out_the_sdk
leave_out_the_sdk()
import clusters.drivers.embedded.server
"""


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [(CONSOLE, {"numpy", "pandas", "pyarrow", "pymilvus"}), (CLUSTER, {"pandas", "requests"})],
    ids=["web and workers", "a cluster"],
)
def test_it_starts_without_what_it_may_never_need(program: str, unwanted: set[str]) -> None:
    ask = f"import sys\nsys.exit(' '.join(sorted({unwanted} & set(sys.modules))) or 0)"
    started = subprocess.run([sys.executable, "-c", program + ask], capture_output=True, text=True)
    assert started.returncode == 0, started.stderr
