"""In and out, and which password opens."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth
from django.http import HttpResponse
from django.urls import reverse_lazy

from vbase_console.organizations.forms import SignInForm

PASSWORD_BACKEND = "django.contrib.auth.backends.ModelBackend"  # noqa: S105


class SignInView(auth.LoginView):
    """Wrong passwords are counted, and from the tenth on refused, by django-axes."""

    authentication_form = SignInForm
    template_name = "organizations/sign_in.html"
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


class SignOutView(auth.LogoutView):
    """By POST only: a link elsewhere can sign nobody out."""


class PasswordSetView(auth.PasswordResetConfirmView):
    """Where the link of an invitation leads: the person chooses a password, once."""

    template_name = "organizations/password_set.html"
    success_url = reverse_lazy("home")
    post_reset_login = True
    post_reset_login_backend = PASSWORD_BACKEND


class PasswordChangeView(auth.PasswordChangeView):
    template_name = "organizations/password_change.html"
    success_url = reverse_lazy("home")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)
