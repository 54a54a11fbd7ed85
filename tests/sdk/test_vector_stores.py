"""The vector stores of LangChain and LlamaIndex in their own environment: `make test-sdks`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.drivers.launched import TOKEN, Launched

PROGRAMS = sorted(Path(__file__).with_name("stores").glob("*_store.py"))

pytestmark = pytest.mark.vector_stores


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_store_does_what_its_users_ask(tmp_path: Path, program: Path) -> None:
    server = Launched(tmp_path / "data").start()
    python = os.environ["SDKS_PYTHON"]
    try:
        run = subprocess.run(
            [python, str(program), f"http://127.0.0.1:{server.port}", TOKEN],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    finally:
        server.close()
    assert run.returncode == 0, run.stderr
