"""How much memory a worker takes for a whole BACKUP and a whole RESTORE, for few rows and for many.

    python -m benchmarks.memory [--backup 100000 1000000] [--restore 100000 400000] [--dim 64]

Each job runs in a process of its own, on an embedded cluster of its own, through the task engine as
in a worker; told is the most memory that the process ever had resident.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import django

from benchmarks.consoles import told_by


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backup", type=int, nargs=2, default=[100_000, 1_000_000])
    parser.add_argument("--restore", type=int, nargs=2, default=[100_000, 400_000])
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--task", default="", help="do this task here, and tell what it took")
    options = parser.parse_args(arguments)
    if options.task:
        _work(options.task)
        return
    for kind, sizes in (("BACKUP", options.backup), ("RESTORE", options.restore)):
        peaks = [_peak_of(kind, rows, options.dim) for rows in sizes]
        for rows, peak in zip(sizes, peaks, strict=True):
            print(f"{kind:8} {rows:10,} rows  {peak / 1024:8.0f} MiB", flush=True)
        print(f"{kind:8} ratio {peaks[1] / peaks[0]:.2f}", flush=True)


def _peak_of(kind: str, rows: int, dim: int) -> int:
    """Of the job's process, in KiB; who makes the rest is another process."""
    return int(told_by("memory_stage", kind, rows, dim).split()[-1])


def _work(task_id: str) -> None:
    django.setup()
    from vbase_console.tasks.models import Task
    from vbase_console.tasks.worker import run_task

    run_task(task_id)
    task = Task.objects.get(task_id=task_id)
    if task.state != "SUCCEEDED":
        raise SystemExit(f"{task.kind} ended {task.state}: {task.message}")
    print(_peak_kib())


def _peak_kib() -> int:
    """Of this program alone; what `getrusage` tells begins with whoever started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
