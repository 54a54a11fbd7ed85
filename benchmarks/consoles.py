"""A console for one measurement, with an empty data directory and its own process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile


def told_by(stage: str, *options: object) -> str:
    """Run `benchmarks.<stage>.main(*options)` on an empty data directory. Returns its output."""
    with tempfile.TemporaryDirectory(prefix="vbase-bench-") as directory:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
            "VBASE_DATA_DIR": directory,
            "VBASE_SECRET_KEY": "a secret for a benchmark, and for nothing else",
        }
        code = (
            f"import django, sys; django.setup(); "
            f"from benchmarks import {stage}; {stage}.main(*sys.argv[1:])"
        )
        command = [sys.executable, "-c", code, *map(str, options)]
        return subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
