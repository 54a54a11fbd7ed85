"""Cost of 100 open pages, and the time from a change to the screen.

    python -m benchmarks.live_pages [--database sqlite|postgresql|both] [--rounds 3]

Each page asks as its script does: the same address, headers and intervals, over a connection that a
browser keeps. Processor time is that of the web processes; of several rounds the least counts,
because other load of the machine only adds to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles

from benchmarks.policies import postgresql
from benchmarks.server import HOST, ROOT, Served, filled_console, web

PAGES = 100
IDLE_SECONDS, BUSY_SECONDS, SETTLING_SECONDS = 10.0, 1.5, 2.0
MEASURED_SECONDS = 20.0
CHANGES = 4
ADDRESSES = ("", "clusters", "operations", "backups", "policies")
PART = re.compile(r'\sid="([\w-]+)" data-live="([\w.]+)"')


@dataclasses.dataclass(kw_only=True)
class OpenPage:
    """One page and what it was sent."""

    port: int
    session: str
    path: str
    is_busy: bool = False
    shows_message: bool = False
    seen: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    asked: int = 0

    def live(self, ended: threading.Event) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        html = self._get(connection)[1]
        marks, self.is_busy = dict(PART.findall(html)), 'data-busy=""' in html
        self.shows_message = any(name.endswith("-bar") for name in marks)
        version = html.partition('data-version="')[2].partition('"')[0]
        while not ended.wait(_pause(version, is_busy=self.is_busy)):
            known = ",".join(f"{name}={mark}" for name, mark in marks.items())
            headers = {"Live-Parts": known, "If-None-Match": f'"{version}"'}
            status, body = self._get(connection, headers)
            self.asked += 1
            if status == 200:
                self.seen.append((time.time(), body))
                answer = json.loads(body)
                version = answer["version"]
                marks |= dict(PART.findall(" ".join(answer["parts"].values())))
        connection.close()

    def _get(
        self, connection: http.client.HTTPConnection, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        cookie = {"Cookie": f"sessionid={self.session}"}
        connection.request("GET", self.path, headers=cookie | (headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()


def _pause(version: str, *, is_busy: bool) -> float:
    if is_busy:
        return BUSY_SECONDS
    return IDLE_SECONDS * random.uniform(0.8, 1.0) if version else SETTLING_SECONDS


class Changes:
    """Process that changes rows at a word."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live_stage"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def make(self, word: str) -> float:
        """Returns the time after the commit."""
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        with self._lock:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.database != "postgresql":
        report("SQLite", {}, options.rounds)
    if options.database != "sqlite":
        with (
            tempfile.TemporaryDirectory(prefix="vbase-live-") as name,
            postgresql(name) as address,
        ):
            if address is not None:
                report("PostgreSQL", address(), options.rounds)


def report(name: str, database: dict[str, str], rounds: int) -> None:
    print(f"{PAGES} open pages on {name}")
    with filled_console(database) as (environment, filled), web(environment) as server:
        changes = Changes(environment)
        try:
            changes.make("begin")
            with opened(server, filled.session) as pages:
                _tell_cost("idle", server, pages, rounds)
                _tell_latency("idle", pages, changes, "change", 2 * IDLE_SECONDS)
            changes.make("run")
            with opened(server, filled.session) as pages, _moving(changes):
                busy = [page for page in pages if page.is_busy]
                _tell_cost(f"{len(busy)} of them with a running task", server, pages, rounds)
                shown = [page for page in busy if page.shows_message]
                _tell_latency("running", shown, changes, "step", 4 * BUSY_SECONDS)
        finally:
            changes.close()


@contextmanager
def opened(server: Served, session: str) -> Iterator[list[OpenPage]]:
    ended = threading.Event()
    pages = [
        OpenPage(
            port=server.port,
            session=session,
            path=f"/o/bench/{ADDRESSES[number % len(ADDRESSES)]}",
        )
        for number in range(PAGES)
    ]
    threads = [threading.Thread(target=page.live, args=(ended,)) for page in pages]
    for thread in threads:
        thread.start()
    time.sleep(IDLE_SECONDS + SETTLING_SECONDS)  # all pages are loaded and settled
    yield pages
    ended.set()
    for thread in threads:
        thread.join()


def _tell_cost(name: str, server: Served, pages: list[OpenPage], rounds: int) -> None:
    costs = []
    for _ in range(rounds):
        asked, cpu, began = sum(page.asked for page in pages), server.cpu_seconds(), time.time()
        time.sleep(MEASURED_SECONDS)
        seconds, cpu = time.time() - began, server.cpu_seconds() - cpu
        asked = sum(page.asked for page in pages) - asked
        costs.append((cpu / seconds, asked / seconds, cpu / max(asked, 1) * 1000))
    share, rate, each = min(costs)
    print(
        f"  {name}: {share:.1%} of one core ({max(costs)[0]:.1%} at most), {rate:.1f} requests/s, "
        f"{each:.1f} ms each",
        flush=True,
    )


def _tell_latency(
    name: str, pages: list[OpenPage], changes: Changes, word: str, seconds: float
) -> None:
    """Measure the time to the first answer with the change: to any answer of an idle page, and to
    the one with the new message of a page with a running task.
    """
    waits: list[float] = []
    for number in range(CHANGES):
        changed_at = changes.make(f"{word} {number}")
        time.sleep(seconds)
        shown = f"Step {number}" if word == "step" else ""
        firsts = [
            next((at for at, body in page.seen if at > changed_at and shown in body), None)
            for page in pages
        ]
        waits += [at - changed_at for at in firsts if at is not None]
    p95 = quantiles(waits, n=20)[-1]
    print(
        f"  from a change to a page, {name}: p95 {p95:.1f} s "
        f"({len(waits)} of {CHANGES * len(pages)} answers)",
        flush=True,
    )


@contextmanager
def _moving(changes: Changes) -> Iterator[None]:
    """Write the progress of the running task every second."""
    ended = threading.Event()

    def move() -> None:
        while not ended.wait(1):
            changes.make("move")

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        ended.set()
        mover.join()


if __name__ == "__main__":
    main()
