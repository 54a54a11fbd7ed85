"""Server time of every page and reading endpoint with a short and with a long history.

    python -m benchmarks.pages [--clusters 1000] [--small 1000] [--large 100000] [--rounds 40]

Both consoles answer in turn, so that other load of the machine falls on both. The least processor
time of several answers is hardly affected by it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from statistics import quantiles
from typing import Any

from benchmarks.policies import Address, postgresql

MAX_RATIO = 1.5
MAX_MILLISECONDS = 150.0
WARM_UP_ROUNDS = 3
SHOWN = (200,)


class Stage:
    """A console in a process of its own."""

    def __init__(self, directory: str, database: dict[str, str], clusters: int, rows: int) -> None:
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
            "VBASE_DATA_DIR": directory,
            "VBASE_CLUSTER_DRIVER": "memory",
            "VBASE_LOG_LEVEL": "CRITICAL",
            "VBASE_SECRET_KEY": "a secret for a benchmark, and for nothing else",
        }
        command = [sys.executable, "-m", "benchmarks.page_stage", str(clusters), str(rows)]
        self.process = subprocess.Popen(
            command,
            env=environment | database,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.seeded: dict[str, Any] = self._read()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None  # noqa: S101
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("A console of the benchmark has ended.")
        value: dict[str, Any] = json.loads(line)
        return value

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def stage(address: Address, clusters: int, rows: int) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="vbase-pages-") as directory:
        started = Stage(directory, address(), clusters, rows)
        try:
            yield started
        finally:
            started.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args(arguments)
    if options.database != "postgresql":
        report("SQLite", dict, options)
    if options.database != "sqlite":
        with (
            tempfile.TemporaryDirectory(prefix="vbase-pages-") as name,
            postgresql(name) as address,
        ):
            if address is not None:
                report("PostgreSQL", address, options)


def report(database: str, address: Address, options: argparse.Namespace) -> None:
    with (
        stage(address, options.clusters, options.small) as small,
        stage(address, options.clusters, options.large) as large,
    ):
        print(
            f"{database}: {options.clusters:,} clusters, {options.small:,} and {options.large:,} "
            f"backups and tasks (written in {large.seeded['seconds']:.0f} s); "
            "milliseconds of server time"
        )
        print(
            f"  {'page or endpoint':66} {'small p95':>9} {'large p95':>9} {'ratio':>6} "
            f"{'least CPU':>13} {'ratio':>6}"
        )
        pairs = list(zip(small.seeded["requests"], large.seeded["requests"], strict=True))
        results = [_compare(small, large, pair, options.rounds) for pair in pairs]
    shown = [result for result in results if result is not None]
    print(f"  {len(shown)} measured, worst ratio {max(ratio for ratio, _ in shown):.2f}, ", end="")
    print(f"slowest {max(p95 for _, p95 in shown):.0f} ms", flush=True)


def _compare(
    small: Stage, large: Stage, pair: tuple[dict[str, Any], dict[str, Any]], rounds: int
) -> tuple[float, float] | None:
    """Measure one address on both consoles. Returns the ratio and the larger time, or None if the
    address shows nothing by itself, such as a redirect.
    """
    taken: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for _ in range(rounds + WARM_UP_ROUNDS):
        for console, request, results in zip((small, large), pair, taken, strict=True):
            results.append(console.ask(request))
    if any(result["status"] not in SHOWN for results in taken for result in results):
        return None
    walls, cpus = (
        [[result[key] for result in results[WARM_UP_ROUNDS:]] for results in taken]
        for key in ("wall", "cpu")
    )
    before, after = (quantiles(times, n=20)[-1] for times in walls)
    least = [min(times) for times in cpus]
    ratio, cpu_ratio = after / before, least[1] / least[0]
    mark = " !" if ratio > MAX_RATIO or after > MAX_MILLISECONDS else ""
    print(
        f"  {pair[1]['name'][:66]:66} {before:9.1f} {after:9.1f} {ratio:6.2f} "
        f"{least[0]:6.1f} {least[1]:6.1f} {cpu_ratio:6.2f}{mark}",
        flush=True,
    )
    return ratio, after


if __name__ == "__main__":
    main()
