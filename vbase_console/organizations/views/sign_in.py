from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils import timezone

from vbase_console.core.client_address import source_of
from vbase_console.organizations.audit import Interface, record_account_action
from vbase_console.organizations.forms import SignInForm
from vbase_console.organizations.lockout import locked_until
from vbase_console.organizations.models import Outcome

PASSWORD_BACKEND = "django.contrib.auth.backends.ModelBackend"  # noqa: S105


class SignInView(auth.LoginView):
    """Sign-in page. django-axes counts wrong passwords per user and per client address."""

    authentication_form = SignInForm
    template_name = "organizations/sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


def locked(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Render the page with the end of the lockout. Called by django-axes."""
    now = timezone.now()
    until = locked_until(request, credentials) or now + settings.AXES_COOLOFF_TIME
    context = {"until": until, "minutes": int((until - now).total_seconds() // 60) + 1}
    page = render(request, "organizations/sign_in_locked.html", context, status=429)
    page["Retry-After"] = str(int((until - now).total_seconds()) + 1)
    return page


class SignOutView(auth.LogoutView):
    """Sign-out by POST only, so that a link on another site cannot sign out a user."""


class AuditedFormMixin:
    """Form about the user's own account. Accepted and refused attempts are audited in all
    organizations of the user, without the submitted values.
    """

    request: HttpRequest
    action: ClassVar[str]

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            self._record(form.user, Outcome.ACCEPTED)
            response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        labels = ", ".join(str(form[name].label) for name in form.errors if name in form.fields)
        self._record(form.user, Outcome.REFUSED, f"INVALID_ARGUMENT: {labels}")
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        return response

    def _record(self, user: User, outcome: Outcome, detail: str = "") -> None:
        record_account_action(
            user,
            action=self.action,
            source=source_of(self.request),
            interface=Interface.PAGES,
            outcome=outcome,
            detail=detail,
        )


class PasswordSetView(AuditedFormMixin, auth.PasswordResetConfirmView):
    """Target of an invitation link. Sets the password of a new account once."""

    action = "SetPassword"
    template_name = "organizations/password_set.html"
    success_url = reverse_lazy("home")
    post_reset_login = True
    post_reset_login_backend = PASSWORD_BACKEND


class PasswordChangeView(AuditedFormMixin, auth.PasswordChangeView):
    action = "ChangePassword"
    template_name = "organizations/password_change.html"
    success_url = reverse_lazy("home")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Password changed.")
        return super().form_valid(form)
