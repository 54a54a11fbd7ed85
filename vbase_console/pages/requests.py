"""What the middleware puts on every request that a page gets."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

ORGANIZATION_COOKIE = "organization"
"""Which organization this browser looked at last; a name, checked against the memberships."""


class PageRequest(HttpRequest):
    """A request of somebody who has signed in."""

    user: User
    htmx: HtmxDetails


def wants_fragment(request: PageRequest) -> bool:
    """Whether htmx asks for a part of the page; going back in the history wants the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request
