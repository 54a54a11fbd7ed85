"""Cost of 100 open pages, and the time from a change to the screen.

Each page asks as its script does: the same address, headers and intervals.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import quantiles

from benchmarks.server import HOST, ROOT, Served, filled_console, web

PAGES = 100
IDLE_SECONDS, BUSY_SECONDS, SETTLING_SECONDS = 10.0, 1.5, 2.0
MEASURED_SECONDS = 40.0
CHANGES = 4
ADDRESSES = ("", "clusters", "operations", "backups", "policies")
PART = re.compile(r'\sid="([\w-]+)" data-live="([\w.]+)"')


@dataclasses.dataclass(kw_only=True)
class OpenPage:
    """One page and the times at which it was sent something."""

    port: int
    session: str
    path: str
    seen: list[float] = dataclasses.field(default_factory=list)
    asked: int = 0

    def live(self, ended: threading.Event) -> None:
        cookie = {"Cookie": f"sessionid={self.session}"}
        html = self._get(cookie)[1]
        marks, is_busy = dict(PART.findall(html)), 'data-busy=""' in html
        version = html.partition('data-version="')[2].partition('"')[0]
        while not ended.wait(_pause(version, is_busy=is_busy)):
            known = ",".join(f"{name}={mark}" for name, mark in marks.items())
            headers = {"Live-Parts": known, "If-None-Match": f'"{version}"'}
            status, body = self._get(cookie | headers)
            self.asked += 1
            if status == 200:
                self.seen.append(time.time())
                answer = json.loads(body)
                version = answer["version"]
                marks |= dict(PART.findall(" ".join(answer["parts"].values())))

    def _get(self, headers: dict[str, str]) -> tuple[int, str]:
        """Use a connection of its own, because the server closes idle ones."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("GET", self.path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


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

    def make(self, word: str) -> float:
        """Returns the time after the commit."""
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def main() -> None:
    with filled_console() as (environment, filled), web(environment) as server:
        changes = Changes(environment)
        try:
            changes.make("begin")
            with opened(server, filled.session) as pages:
                _report("idle", server, pages)
                print(f"  from a change to an idle page: {_latency(pages, changes)}")
            changes.make("run")
            with opened(server, filled.session) as pages:
                moving = threading.Event()
                mover = threading.Thread(target=_move, args=(changes, moving))
                mover.start()
                _report("busy, one task running", server, pages)
                moving.set()
                mover.join()
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


def _report(name: str, server: Served, pages: list[OpenPage]) -> None:
    asked, cpu, began = sum(page.asked for page in pages), server.cpu_seconds(), time.time()
    time.sleep(MEASURED_SECONDS)
    seconds = time.time() - began
    cpu, asked = server.cpu_seconds() - cpu, sum(page.asked for page in pages) - asked
    print(
        f"{PAGES} pages, {name}: {cpu / seconds:.1%} of one core, {asked / seconds:.1f} "
        f"requests/s, {cpu / max(asked, 1) * 1000:.1f} ms each",
        flush=True,
    )


def _latency(pages: list[OpenPage], changes: Changes) -> str:
    waits: list[float] = []
    for _ in range(CHANGES):
        changed_at = changes.make("change")
        time.sleep(2 * IDLE_SECONDS)
        firsts = [next((at for at in page.seen if at > changed_at), None) for page in pages]
        waits += [at - changed_at for at in firsts if at is not None]
    return f"p95 {quantiles(waits, n=20)[-1]:.1f} s ({len(waits)} of {CHANGES * PAGES} pages)"


def _move(changes: Changes, ended: threading.Event) -> None:
    while not ended.wait(1):
        changes.make("move")


if __name__ == "__main__":
    main()
