"""Sign-in lockout after wrong passwords, per user and client address and per client address."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone


class LockoutHandler(AxesDatabaseHandler):  # type: ignore[misc]
    """django-axes with a second limit: failures of one client address over all accounts."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return locked_until(request, credentials) is not None


def locked_until(
    request: HttpRequest, credentials: dict[str, Any] | None = None
) -> datetime | None:
    """Return the end of the lockout of this client address and user, or None if not locked."""
    username = (credentials or {}).get("username")
    by_address = list(
        AccessAttempt.objects.filter(
            ip_address=request.axes_ip_address,  # type: ignore[attr-defined]
            attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME,
        )
        .only("username", "failures_since_start", "attempt_time")
        .order_by("attempt_time")
    )
    by_user = [attempt for attempt in by_address if attempt.username == username]
    ends = [
        _end_of_lock(by_user, settings.AXES_FAILURE_LIMIT),
        _end_of_lock(by_address, settings.SIGN_IN_FAILURES_PER_ADDRESS),
    ]
    return max((end for end in ends if end is not None), default=None)


def _end_of_lock(attempts: list[AccessAttempt], limit: int) -> datetime | None:
    """Return the time at which enough attempts have expired, oldest account first, to leave fewer
    than `limit` failures.
    """
    failures = sum(attempt.failures_since_start for attempt in attempts)
    end = None
    for attempt in attempts:
        if failures < limit:
            break
        failures -= attempt.failures_since_start
        end = attempt.attempt_time + settings.AXES_COOLOFF_TIME
    return end
