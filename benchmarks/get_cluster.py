"""GetCluster against the smallest view that could answer it, under the same server.

Both are served by the same processes from the same file. They are asked in turns, in short rounds
whose order changes, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from statistics import median

from benchmarks.load import CONNECTIONS, Connections
from benchmarks.server import HOST, Served, served

ROUNDS = 31
SECONDS = 1.0
WARM_UP_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """Measurement of one view during one turn."""

    requests_per_second: float
    cpu_milliseconds: float
    """Processor time of the server's workers per request."""


Round = tuple[Turn, Turn]


def main() -> None:
    with served() as (server, filled):
        ours = f"/v1/vbase/{filled.organization_id}/clusters/{filled.cluster_id}"
        smallest = f"/smallest/{filled.cluster_id}"
        headers = {"Authorization": f"Bearer {filled.key}"}
        with Connections(HOST, server.port, headers) as connections:
            report(measure(server, connections, ours, smallest))


def measure(server: Served, connections: Connections, ours: str, smallest: str) -> list[Round]:
    for path in (ours, smallest):
        connections.ask(path, WARM_UP_SECONDS)
    rounds = []
    for number in range(ROUNDS):
        order = (ours, smallest) if number % 2 else (smallest, ours)
        turns = {path: _turn(server, connections, path) for path in order}
        rounds.append((turns[ours], turns[smallest]))
    return rounds


def _turn(server: Served, connections: Connections, path: str) -> Turn:
    used = server.cpu_seconds()
    requests, seconds = connections.ask(path, SECONDS)
    used = server.cpu_seconds() - used
    return Turn(requests_per_second=requests / seconds, cpu_milliseconds=used / requests * 1000)


def report(rounds: list[Round]) -> None:
    print(f"GetCluster, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS:g} s each; medians:")
    _row("requests/s", rounds, lambda turn: turn.requests_per_second)
    _row("CPU ms/request", rounds, lambda turn: turn.cpu_milliseconds)
    speeds = sorted(a.requests_per_second / b.requests_per_second for a, b in rounds)
    costs = sorted(b.cpu_milliseconds / a.cpu_milliseconds for a, b in rounds)
    print(f"  ratio by rate {median(speeds):.2f} (middle half: {_middle(speeds)})")
    print(f"  ratio by CPU  {median(costs):.2f} (middle half: {_middle(costs)})")


def _row(name: str, rounds: list[Round], figure: Callable[[Turn], float]) -> None:
    ours, smallest = (median(figure(turn) for turn in turns) for turns in zip(*rounds, strict=True))
    print(f"  {name:15} GetCluster {ours:8.2f}   smallest view {smallest:8.2f}")


def _middle(values: list[float]) -> str:
    return f"{values[len(values) // 4]:.2f} to {values[len(values) * 3 // 4]:.2f}"
