"""A worker on the embedded driver, as a program: does what there is, and ends; or dies on its way.

    python -m tests.crash.embedded_worker <the point to die at, 0 for none>

A process of its own from the start, because gRPC does not survive a fork.
"""

from __future__ import annotations

import sys

import django


def main(die_at: int) -> None:
    django.setup()
    from clusters.drivers.embedded import process
    from clusters.drivers.embedded.client import ControlClient
    from clusters.drivers.embedded.layout import ClusterDirectory
    from tests.crash.processes import Points, instrument_engine, work_until_nothing_is_left

    points = Points(die_at)
    for owner, name in (
        (process, "spawn"),
        (process, "end"),
        (ClusterDirectory, "make"),
        (ClusterDirectory, "save"),
        (ClusterDirectory, "remove"),
    ):
        points.before(owner, name)
    points.before(ControlClient, "call", unless=lambda arguments: "Health" in arguments)
    instrument_engine(points)
    work_until_nothing_is_left()


if __name__ == "__main__":
    main(int(sys.argv[1]))
