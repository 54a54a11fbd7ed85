from __future__ import annotations

from datetime import UTC, datetime, time

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.forms.boundfield import BoundWidget

from vbase_console.organizations.scopes import ALL_SCOPES, SCOPE_GROUPS, Role


class SignInForm(AuthenticationForm):
    """Sign-in by e-mail address, regardless of upper and lower case."""

    error_messages = {
        "invalid_login": "Wrong e-mail or password. After 10 failed attempts, sign-in is locked "
        "for 15 minutes.",
        "inactive": "This account is disabled. Contact the operator of this console.",
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


class OrganizationForm(forms.Form):
    name = forms.CharField(
        max_length=63,
        help_text="Lower-case letters, digits and dashes. Part of the address of every page.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )


class OrganizationSettingsForm(OrganizationForm):
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        help_text="Time zone of new policies, such as UTC or Europe/Berlin.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off"}),
    )


class ApiKeyForm(forms.Form):
    name = forms.CharField(max_length=50, help_text="What the key is for, e.g. “ci”.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in ALL_SCOPES], widget=forms.CheckboxSelectMultiple
    )
    expires_at = forms.DateField(
        label="Expiry date",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Last day (UTC) on which the key is valid. Leave blank for a key without expiry.",
    )

    @property
    def scope_groups(self) -> list[tuple[str, list[tuple[BoundWidget, str]]]]:
        """Groups of checkboxes, each with the effect of its scope."""
        boxes = {str(box.data["value"]): box for box in self["scopes"].subwidgets}
        return [
            (group, [(boxes[scope], effect) for scope, effect in effects.items()])
            for group, effects in SCOPE_GROUPS.items()
        ]

    def clean_expires_at(self) -> datetime | None:
        last_day = self.cleaned_data["expires_at"]
        return datetime.combine(last_day, time(23, 59, 59), UTC) if last_day else None
