"""What should have begun and has not: asked by the health answer of whoever plans work.

A higher app registers in its `AppConfig.ready`. Nobody registered: nothing is overdue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

Ask = Callable[[], datetime | None]

_asked: list[Ask] = []


def register(ask: Ask) -> None:
    if ask not in _asked:
        _asked.append(ask)


def overdue_since() -> datetime | None:
    """Since when the longest waiting piece of work should have begun."""
    found = [since for ask in _asked if (since := ask()) is not None]
    return min(found, default=None)
