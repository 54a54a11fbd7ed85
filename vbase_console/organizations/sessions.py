"""Who came in and who left, by whichever interface: Django announces it, and history keeps it."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from django.urls import reverse

from vbase_console.core.client_address import source_of
from vbase_console.organizations.audit import Interface, record_of_person


def listen() -> None:
    user_logged_in.connect(_signed_in)
    user_logged_out.connect(_signed_out)


def _signed_in(sender: object, request: HttpRequest, user: User, **more: object) -> None:
    _record("SignIn", request, user)


def _signed_out(sender: object, request: HttpRequest, user: User | None, **more: object) -> None:
    if user is not None:
        _record("SignOut", request, user)


def _record(action: str, request: HttpRequest, user: User) -> None:
    """A session that a shell made by hand is nobody's call: it comes with no method."""
    if request.method is not None:
        at_admin = request.path.startswith(reverse("admin:index"))
        interface = Interface.ADMIN if at_admin else Interface.PAGES
        record_of_person(user, action=action, source=source_of(request), interface=interface)
