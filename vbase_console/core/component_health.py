"""Components of the console, and checks of components that belong to a higher app.

A higher app registers its check in `AppConfig.ready`. Without one the component is null.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from datetime import datetime


class HealthStatus(enum.StrEnum):
    SERVING = "SERVING"
    DEGRADED = "DEGRADED"
    """The component serves, but a part is unavailable, so accepted work may be delayed."""
    NOT_SERVING = "NOT_SERVING"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Component:
    status: HealthStatus
    message: str = ""
    last_seen_at: datetime | None = None
    level: str | None = None
    """Degree of a component that has several, such as confinement."""


Check = Callable[[], Component | None]

_checks: dict[str, Check] = {}


def register(name: str, check: Check) -> None:
    _checks[name] = check


def checked(name: str) -> Component | None:
    """Result of the registered check. Returns None if the component does not exist here."""
    check = _checks.get(name)
    return check() if check is not None else None
