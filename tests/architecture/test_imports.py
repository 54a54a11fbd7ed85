"""Knowledge runs one way, and the contracts in pyproject.toml notice when it does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = settings.BASE_DIR
PACKAGES = ("vbase_console", "clusters", "backups")
LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def copy_of_the_project(directory: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", directory)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / package, ignore=ignored)
    return directory


def test_every_import_keeps_the_contracts() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_a_driver_that_learns_of_a_row_breaks_a_contract(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path)
    with (project / "clusters/drivers/memory.py").open("a") as driver:
        driver.write("from clusters.models import Cluster\n")
    result = lint(project)
    assert result.returncode != 0
    assert "drivers import no row, request or task BROKEN" in result.stdout


def test_an_engine_that_learns_of_clusters_breaks_a_contract(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path)
    with (project / "vbase_console/tasks/worker.py").open("a") as worker:
        worker.write("from clusters import services as clusters\n")
    assert lint(project).returncode != 0


def test_two_modules_that_import_each_other_for_a_type_break_a_contract(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path)
    with (project / "vbase_console/core/addresses.py").open("a") as addresses:
        addresses.write("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n")
        addresses.write("    from vbase_console.core import outbound\n")
    result = lint(project)
    assert result.returncode != 0
    assert "no circle of modules or packages, not even of types BROKEN" in result.stdout
