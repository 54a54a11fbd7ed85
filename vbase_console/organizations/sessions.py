"""Write an audit entry for every sign-in and sign-out, from Django's auth signals."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from django.urls import reverse

from vbase_console.core.client_address import source_of
from vbase_console.organizations.audit import Interface, record_account_action


def connect_signals() -> None:
    user_logged_in.connect(_record_sign_in)
    user_logged_out.connect(_record_sign_out)


def _record_sign_in(sender: object, request: HttpRequest, user: User, **kwargs: object) -> None:
    _record("SignIn", request, user)


def _record_sign_out(
    sender: object, request: HttpRequest, user: User | None, **kwargs: object
) -> None:
    if user is not None:
        _record("SignOut", request, user)


def _record(action: str, request: HttpRequest, user: User) -> None:
    if request.method is not None:  # test clients and shells sign in with a request without method
        is_admin = request.path.startswith(reverse("admin:index"))
        interface = Interface.ADMIN if is_admin else Interface.PAGES
        record_account_action(user, action=action, source=source_of(request), interface=interface)
