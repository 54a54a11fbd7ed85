"""Forms of clusters. The services validate the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from clusters.attach import DEFAULT_PORT
from clusters.drivers.base import Capabilities
from clusters.models import MAX_COMPUTE_UNITS, Cluster
from vbase_console.core.addresses import MAX_HOST_LENGTH


class LabelsField(forms.CharField):
    """Labels as lines of `key=value`."""

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
            raise forms.ValidationError("Write one label per line, as key=value.")
        if len(labels) < len(pairs):
            raise forms.ValidationError("Use each label key only once.")
        return labels


class ResourcesForm(forms.Form):
    """Resources that the driver supports. Other fields are left out."""

    compute_units = forms.IntegerField(
        min_value=1, max_value=MAX_COMPUTE_UNITS, initial=1, label="Compute units"
    )
    enable_auto_scaling = forms.BooleanField(
        required=False,
        label="Autoscaling",
        help_text="Adds a unit after 1 min above 85% CPU; removes one after 5 min below 30%.",
    )
    max_compute_units = forms.IntegerField(
        min_value=1,
        max_value=MAX_COMPUTE_UNITS,
        required=False,
        label="Maximum units",
        help_text="Used only with autoscaling.",
    )
    replicas = forms.IntegerField(min_value=1, initial=1)

    def __init__(self, *args: Any, capabilities: Capabilities, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not capabilities.supports_load:
            del self.fields["enable_auto_scaling"], self.fields["max_compute_units"]
        if capabilities.max_replicas == 1:
            del self.fields["replicas"]
        text = f"CPU cores, 1 to {MAX_COMPUTE_UNITS}."
        if cores := capabilities.max_effective_cores:
            text += f" This host has {cores} core{'' if cores == 1 else 's'}. "
            text += "Extra units take effect when more are available."
        self.fields["compute_units"].help_text = text

    def changes(self) -> dict[str, Any]:
        """Changes for the services. The upper bound is included only with autoscaling."""
        values = {name: self.cleaned_data.get(name) for name in RESOURCE_FIELDS}
        if not values["enable_auto_scaling"]:
            values["max_compute_units"] = None
        if values["replicas"] is not None:
            values["enable_replicas"] = values["replicas"] > 1
        return {name: value for name, value in values.items() if value is not None}


RESOURCE_FIELDS = ("compute_units", "enable_auto_scaling", "max_compute_units", "replicas")


class IdentityForm(forms.Form):
    """Fields that do not affect the running Milvus."""

    name = forms.CharField(max_length=63, help_text="Letters, digits, dots, spaces, _ and -.")
    labels = LabelsField(
        required=False, help_text="One key=value per line. You can filter lists by label."
    )
    deletion_protection = forms.BooleanField(
        required=False,
        label="Deletion protection",
        help_text="Prevents the cluster from being deleted.",
    )


class FoldedFieldsMixin(forms.Form):
    """Form with fields that most users leave as they are. A field with an error is unfolded."""

    FOLDED: ClassVar[frozenset[str]] = frozenset({"labels", "deletion_protection"})

    @property
    def shown_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in self.FOLDED]

    @property
    def folded_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name in self.FOLDED]

    @property
    def is_unfolded(self) -> bool:
        return any(field.errors for field in self.folded_fields)


class CreateForm(FoldedFieldsMixin, IdentityForm, ResourcesForm):
    FOLDED = FoldedFieldsMixin.FOLDED | {
        *("version", "enable_auto_scaling", "max_compute_units", "replicas")
    }
    field_order = (
        *("name", "compute_units", "protection", "version"),
        *("enable_auto_scaling", "max_compute_units", "replicas", "labels", "deletion_protection"),
    )
    version = forms.ChoiceField()

    def __init__(self, *args: Any, capabilities: Capabilities, **kwargs: Any) -> None:
        super().__init__(*args, capabilities=capabilities, **kwargs)
        self.fields["version"] = _version_field(capabilities.versions)
        self.order_fields(self.field_order)

    def changes(self) -> dict[str, Any]:
        return super().changes() | {"version": self.cleaned_data["version"]}


class ConnectionForm(forms.Form):
    """Connection to a server that is operated elsewhere. The token is never rendered."""

    endpoint = forms.CharField(
        max_length=MAX_HOST_LENGTH,
        help_text="Host name or IP address, without scheme and port.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    port = forms.IntegerField(min_value=1, max_value=65535, initial=DEFAULT_PORT)
    tls = forms.BooleanField(
        required=False,
        label="TLS",
        help_text="Without TLS the token and all rows are sent in clear text.",
    )
    ca_certificate = forms.CharField(
        required=False,
        label="CA certificate",
        help_text="PEM of the authority that signed the server's certificate. Without one, public "
        "authorities are trusted.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "code"}),
    )
    token = forms.CharField(
        required=False,
        strip=False,
        help_text="user:password or an API key. Leave empty if the server requires none.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )


class AttachForm(FoldedFieldsMixin, IdentityForm, ConnectionForm):
    field_order = (
        *("name", *ConnectionForm.base_fields),
        *("protection", "labels", "deletion_protection"),
    )


class ChangeConnectionForm(ConnectionForm):
    """Change of a connection. An empty token keeps the present one, unless the address changes."""

    field_order = (*ConnectionForm.base_fields, "without_token")
    without_token = forms.BooleanField(
        required=False,
        label="No token",
        help_text="The server requires no token.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["token"].help_text = (
            "user:password or an API key. Required for another endpoint, port, TLS setting or "
            "certificate; otherwise leave empty to keep the present token."
        )

    def changes(self) -> dict[str, Any]:
        """Fields for the service. The token is left out if it is to be kept."""
        changes = dict(self.cleaned_data)
        without_token = changes.pop("without_token")
        if not changes["token"] and not without_token:
            del changes["token"]
        return changes


class UpgradeForm(forms.Form):
    def __init__(self, *args: Any, versions: list[str], backs_up: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = _version_field(versions)
        if backs_up:
            self.fields["backup_first"] = _backup_field()


class RolloutForm(forms.Form):
    """Options of a rollout. The page shows its plan before they are sent."""

    version = forms.CharField(max_length=40)
    backup = forms.ChoiceField(
        choices=[("first", "Every database, before its change"), ("none", "None")]
    )


class GoBackForm(forms.Form):
    def __init__(self, *args: Any, backs_up: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if backs_up:
            self.fields["backup_first"] = _backup_field()


class TypedNameForm(forms.Form):
    """Confirmation of an irreversible action by typing the object's name."""

    object_kind = "cluster"
    typed_name = forms.CharField(
        max_length=200,
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["typed_name"].label = f"Name of the {self.object_kind}"

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if typed.strip() != self.name:
            raise forms.ValidationError(f"Type the name exactly as shown above: {self.name}")
        return typed


class ClusterDeleteForm(TypedNameForm):
    delete_backups = forms.BooleanField(
        required=False,
        label="Also delete its backups",
        help_text="Pinned backups and backups being restored are kept.",
    )
    field_order = ("typed_name", "delete_backups")

    def __init__(self, *args: Any, has_backups: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not has_backups:
            del self.fields["delete_backups"]


def initial_resources(cluster: Cluster) -> dict[str, Any]:
    """Initial values of the form. The upper bound is included only with autoscaling."""
    values = {name: getattr(cluster, name) for name in RESOURCE_FIELDS}
    if not cluster.enable_auto_scaling:
        del values["max_compute_units"]
    return values


def _backup_field() -> forms.BooleanField:
    return forms.BooleanField(
        required=False,
        initial=True,
        label="Back up first",
        help_text="Every database. The change begins when the backups are complete.",
    )


def _version_field(versions: Any) -> forms.ChoiceField:
    choices = [(version, version) for version in versions]
    return forms.ChoiceField(choices=choices, initial=choices[0][0] if choices else None)
