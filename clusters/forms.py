"""What people type about clusters, translated; what may be is decided by the services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from clusters.drivers.base import Capabilities
from clusters.models import MAX_COMPUTE_UNITS, Cluster


class LabelsField(forms.CharField):
    """One `key=value` a line."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "code"})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{key}={text}" for key, text in value.items())
        return value

    def clean(self, value: Any) -> dict[str, str]:
        lines = [line.strip() for line in super().clean(value).splitlines() if line.strip()]
        pairs = [line.partition("=") for line in lines]
        labels = {key.strip(): text.strip() for key, _, text in pairs}
        if not all(equals for _, equals, _ in pairs):
            raise forms.ValidationError("Write one label a line, as key=value.")
        if len(labels) < len(pairs):
            raise forms.ValidationError("A key can stand there once.")
        return labels


class ResourcesForm(forms.Form):
    """The fields that this console's driver can honour; others are left out, not switched off."""

    compute_units = forms.IntegerField(
        min_value=1, max_value=MAX_COMPUTE_UNITS, initial=1, label="Compute units"
    )
    enable_auto_scaling = forms.BooleanField(
        required=False,
        label="Scale by load",
        help_text="Adds a unit above 85 % CPU for a minute, takes one back below 30 % for five.",
    )
    max_compute_units = forms.IntegerField(
        min_value=1,
        max_value=MAX_COMPUTE_UNITS,
        required=False,
        label="At most",
        help_text="Compute units; counts only where it scales by load.",
    )
    replicas = forms.IntegerField(min_value=1, initial=1)

    def __init__(self, *args: Any, capabilities: Capabilities, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not capabilities.supports_load:
            del self.fields["enable_auto_scaling"], self.fields["max_compute_units"]
        if capabilities.max_replicas == 1:
            del self.fields["replicas"]
        self.fields["compute_units"].help_text = _cores(capabilities)

    def changes(self) -> dict[str, Any]:
        """As the services want it: the upper bound only where it counts."""
        given = {name: self.cleaned_data.get(name) for name in RESOURCE_FIELDS}
        if not given["enable_auto_scaling"]:
            given["max_compute_units"] = None
        if given["replicas"] is not None:
            given["enable_replicas"] = given["replicas"] > 1
        return {name: value for name, value in given.items() if value is not None}


RESOURCE_FIELDS = ("compute_units", "enable_auto_scaling", "max_compute_units", "replicas")


class IdentityForm(forms.Form):
    """What is only the console's knowledge."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, spaces, _ and -.")
    labels = LabelsField(required=False, help_text="One key=value a line; lists filter by them.")
    deletion_protection = forms.BooleanField(
        required=False,
        label="Deletion protection",
        help_text="While it is on, nobody can delete the cluster.",
    )


class CreateForm(IdentityForm, ResourcesForm):
    field_order = ("name", "version", *RESOURCE_FIELDS, "labels", "deletion_protection")
    version = forms.ChoiceField()

    def __init__(self, *args: Any, capabilities: Capabilities, **kwargs: Any) -> None:
        super().__init__(*args, capabilities=capabilities, **kwargs)
        self.fields["version"] = _version_field(capabilities.versions)
        self.order_fields(self.field_order)

    def changes(self) -> dict[str, Any]:
        return super().changes() | {"version": self.cleaned_data["version"]}


class UpgradeForm(forms.Form):
    def __init__(self, *args: Any, versions: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = _version_field(versions)


class TypedNameForm(forms.Form):
    """What cannot be undone is asked for by typing the name of what goes."""

    what = "cluster"
    typed_name = forms.CharField(
        max_length=200,
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["typed_name"].label = f"Name of the {self.what}"

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if typed.strip() != self.name:
            raise forms.ValidationError(f"Type the name as it is written above: {self.name}")
        return typed


class DeleteForm(TypedNameForm):
    delete_backups = forms.BooleanField(
        required=False,
        label="Delete its backups, too",
        help_text="Pinned ones, and those that somebody restores from, stay.",
    )
    field_order = ("typed_name", "delete_backups")

    def __init__(self, *args: Any, has_backups: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_backups:
            del self.fields["delete_backups"]


def resources_shown(cluster: Cluster) -> dict[str, Any]:
    """The upper bound only where somebody asked for one."""
    shown = {name: getattr(cluster, name) for name in RESOURCE_FIELDS}
    if not cluster.enable_auto_scaling:
        del shown["max_compute_units"]
    return shown


def _version_field(versions: Any) -> forms.ChoiceField:
    choices = [(version, version) for version in versions]
    return forms.ChoiceField(choices=choices, initial=choices[0][0] if choices else None)


def _cores(capabilities: Capabilities) -> str:
    text = f"CPU cores, 1 to {MAX_COMPUTE_UNITS}."
    if capabilities.max_effective_cores is None:
        return text
    here = capabilities.max_effective_cores
    return f"{text} This console has {here}; more is kept and used when there are more."
