from __future__ import annotations

from datetime import UTC, datetime, time

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from vbase_console.organizations.scopes import ALL_SCOPES, Role


class SignInForm(AuthenticationForm):
    """People are known by their e-mail address, however they write it."""

    error_messages = {
        "invalid_login": "This address and password do not belong together. Check both; after "
        "ten failed attempts, sign-in is locked for 15 minutes.",
        "inactive": "This account is switched off; ask whoever runs this console.",
    }
    username = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"}),
    )

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()


class MemberForm(forms.Form):
    email = forms.EmailField(label="E-mail", max_length=150)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.VIEWER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices, widget=forms.RadioSelect)


class ApiKeyForm(forms.Form):
    name = forms.CharField(max_length=50, help_text="What uses the key, for example “ci”.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in ALL_SCOPES], widget=forms.CheckboxSelectMultiple
    )
    expires_at = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The key works until the end of this day (UTC). Empty: until it is revoked.",
    )

    def clean_expires_at(self) -> datetime | None:
        last_day = self.cleaned_data["expires_at"]
        return datetime.combine(last_day, time(23, 59, 59), UTC) if last_day else None
