from __future__ import annotations

from django import forms


class DatabaseForm(forms.Form):
    name = forms.CharField(
        max_length=255,
        strip=False,
        help_text="Letters, digits and _ are accepted by every server.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class HiddenName(forms.Form):
    """Name of the object of a confirmation."""

    name = forms.CharField(max_length=255, strip=False, widget=forms.HiddenInput)


class CollectionForm(HiddenName):
    db_name = forms.CharField(max_length=255, strip=False, widget=forms.HiddenInput)
