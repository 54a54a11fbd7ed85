"""A whole restore through the task engine, phase by phase, beside the fastest columnar loop.

    python -m benchmarks.restore [--rows 200000] [--dim 128] [--index HNSW]

Both write the same rows into a new collection of one embedded cluster, in one run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from benchmarks.consoles import told_by


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--index", default="FLAT", help="FLAT or HNSW")
    options = parser.parse_args(arguments)
    print(f"{options.rows} rows of {options.dim} dimensions, index: {options.index}")
    told = json.loads(told_by("restore_stage", options.rows, options.dim, options.index))
    print(table(options.rows, told))


def table(rows: int, told: dict[str, float]) -> str:
    """Markdown, for docs/benchmarks.md: seconds, rows per second, factor against the loop."""
    loop = told["columns of 10000, one after another"]
    lines = [
        f"| {way} | {seconds:.1f} | {rows / seconds:,.0f} | {loop / seconds:.2f} |"
        for way, seconds in told.items()
    ]
    return "\n".join(["| | s | rows/s | factor |", "|---|---:|---:|---:|", *lines])


if __name__ == "__main__":
    main()
