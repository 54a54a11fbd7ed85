"""Modules that a process of the console imports before its first work."""

from __future__ import annotations

import subprocess
import sys

import pytest

READS_ROWS = {"numpy", "pandas", "pyarrow", "pymilvus"}
WEB = {"rest_framework.views", "drf_spectacular.views", "vbase_console.urls"}
WEB_IMPORTS = "import vbase_console.wsgi"
GRPC_IMPORTS = """
import django
django.setup()
import vbase_console.rpc.server
from vbase_console.rpc.methods import unary_methods
unary_methods()
"""
WORKERS_IMPORT = """
from vbase_console.celery import app
app.loader.import_default_modules()
"""


def imported(code: str) -> set[str]:
    """The modules that a new process has after it."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


@pytest.mark.parametrize(
    "code", [WEB_IMPORTS, GRPC_IMPORTS, WORKERS_IMPORT], ids=["web", "grpc", "workers"]
)
def test_it_starts_without_what_reads_rows(code: str) -> None:
    assert imported(code) & READS_ROWS == set()


def test_workers_and_beat_start_without_the_web() -> None:
    assert imported(WORKERS_IMPORT) & WEB == set()


def test_the_web_has_its_pages_before_it_forks() -> None:
    assert imported(WEB_IMPORTS) >= WEB
