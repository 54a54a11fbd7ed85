"""Many threads at once, from one starting line, each with a database connection that it closes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

T = TypeVar("T")


def together(count: int, work: Callable[[int], T]) -> list[T]:
    """Return the results of `work(0)` to `work(count - 1)`. Raises an error of one of them."""
    line = threading.Barrier(count)

    def run(number: int) -> T:
        try:
            line.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
