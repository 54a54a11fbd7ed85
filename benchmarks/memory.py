"""Memory of a worker during a whole BACKUP and RESTORE, with few rows and with many.

    python -m benchmarks.memory [--backup 100000 1000000] [--restore 100000 400000] [--dim 64]

Each job runs in its own process, on its own embedded cluster, through the task engine as in a
worker. The figure is the peak of the resident memory of the process.
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
    parser.add_argument("--task", default="", help="execute this task and print its peak")
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
    """Return the peak of the job's process in KiB. Another process creates the rows."""
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
    """Read VmHWM, because the figure of `getrusage` includes the parent process."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()
