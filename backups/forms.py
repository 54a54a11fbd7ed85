"""Forms of backups and restores. Services validate the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backups.models import Backup
from backups.services.new_clusters import CloneOffer, NewCluster
from backups.services.restores import USUAL_SUFFIX
from backups.states import OnConflict
from clusters.forms import TypedNameForm
from clusters.models import MAX_COMPUTE_UNITS, Cluster

MAX_CHECKBOXES = 200
"""Limit of collections with a checkbox. Others are named in a text field."""


class CollectionChoices(forms.MultipleChoiceField):
    """Checkboxes of names. Every offered name is valid, also one without a checkbox."""

    offered: frozenset[str] = frozenset()

    def valid_value(self, value: Any) -> bool:
        return value in self.offered


class CollectionsForm(forms.Form):
    """Selection of collections by checkbox, and by name if there are many."""

    collection_names = CollectionChoices(
        label="Collections", required=False, widget=forms.CheckboxSelectMultiple
    )
    every = forms.BooleanField(required=False)
    others = forms.CharField(
        label="Further collections",
        required=False,
        help_text="One name per line.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "code"}),
    )

    def __init__(
        self,
        *args: Any,
        offered: Sequence[tuple[str, int | None]],
        ticked: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.names = [name for name, _ in offered]
        shown = offered[:MAX_CHECKBOXES]
        boxes = self.fields["collection_names"]
        boxes.offered = frozenset(self.names)  # type: ignore[attr-defined]
        boxes.choices = [(name, counted(name, rows)) for name, rows in shown]  # type: ignore[attr-defined]
        if len(offered) <= MAX_CHECKBOXES:
            boxes.initial = [name for name, _ in shown] if ticked else []
            del self.fields["every"], self.fields["others"]
        else:
            self.fields["every"].label = f"All {len(offered):,} collections, also those not listed"

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and not self._chosen(given):
            self.add_error("collection_names", "Select at least one collection.")
        return given

    @property
    def chosen(self) -> list[str]:
        return self._chosen(self.cleaned_data)

    def _chosen(self, given: dict[str, Any]) -> list[str]:
        if given.get("every"):
            return self.names
        lines = str(given.get("others", "")).splitlines()
        named = [line.strip() for line in lines if line.strip()]
        return list(dict.fromkeys([*given.get("collection_names", ()), *named]))


class CreateBackupForm(CollectionsForm):
    db_name = forms.CharField(max_length=255, widget=forms.HiddenInput)
    backup_name = forms.CharField(
        label="Name",
        required=False,
        max_length=128,
        help_text="Letters, digits, dots, _ and -. Leave blank to use the database name and time.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    include_access_control = forms.BooleanField(
        label="Include users and roles",
        required=False,
        help_text="Users (names only), roles, grants and privilege groups of the whole server. "
        "Embedded clusters have none.",
    )


LEFT_OUT = "none"
NEW_CLUSTER = "new"
"""Value of the target that stands for a cluster to be created."""


class SometimesRequired(forms.Field):
    """Field that only some choices of its form require. The form refuses an empty value then."""

    def validate(self, value: Any) -> None:
        """Accept an empty value."""


class SometimesText(SometimesRequired, forms.CharField):
    pass


class SometimesNumber(SometimesRequired, forms.IntegerField):
    pass


class NewClusterFields(forms.Form):
    """Name and size of the cluster that a restore creates."""

    name = SometimesText(
        label="Name of the new cluster",
        max_length=63,
        help_text="Letters, digits, dots, spaces, _ and -.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    compute_units = SometimesNumber(
        label="Compute units",
        min_value=1,
        max_value=MAX_COMPUTE_UNITS,
        help_text=f"CPU cores of the new cluster, 1 to {MAX_COMPUTE_UNITS}.",
    )

    def require_name(self, given: Mapping[str, Any]) -> None:
        if not given.get("name") and "name" not in self.errors:
            self.add_error("name", "Enter a name for the new cluster.")

    def new_cluster(self, resources: Mapping[str, Any]) -> NewCluster:
        """Return the request of the new cluster. `resources` hold for what the form lacks."""
        units = self.cleaned_data.get("compute_units")
        sized = {**resources, "compute_units": units} if units else dict(resources)
        if sized.get("max_compute_units", 0) < sized.get("compute_units", 1):
            sized.pop("max_compute_units", None)  # the larger number of units is the bound then
        return NewCluster(name=self.cleaned_data["name"], resources=sized)


class RestoreForm(NewClusterFields, CollectionsForm):
    use_required_attribute = False
    target = forms.ChoiceField(label="Into the cluster")
    db_name = forms.CharField(
        label="Database",
        max_length=255,
        help_text="Created if it does not exist.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    on_conflict = forms.ChoiceField(
        label="If a collection already exists",
        widget=forms.RadioSelect,
        initial=OnConflict.RENAME,
        choices=[
            (OnConflict.RENAME, "Restore under a new name, beside the existing collection"),
            (OnConflict.FAIL, "Stop"),
            (OnConflict.REPLACE, "Overwrite (current data is lost)"),
        ],
    )
    suffix = SometimesText(
        max_length=64,
        initial=USUAL_SUFFIX,
        help_text="Appended to the new name, e.g. images_restored. Not used if the name is free.",
    )
    restore_access_control = forms.BooleanField(
        label="Restore roles",
        required=False,
        help_text="Creates missing roles with their grants. Existing roles are kept, and no user "
        "gets a role.",
    )
    field_order = (
        *("target", "name", "compute_units", "db_name"),
        *("collection_names", "every", "others", "on_conflict"),
    )

    def __init__(
        self,
        *args: Any,
        targets: Sequence[Cluster],
        offers_new: bool = False,
        offers_access_control: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not offers_access_control:
            del self.fields["restore_access_control"]
        choices = [(cluster.cluster_id, cluster.name) for cluster in targets]
        if offers_new:
            choices.append((NEW_CLUSTER, "A new cluster"))
        else:
            del self.fields["name"], self.fields["compute_units"]
        self.fields["target"].choices = choices  # type: ignore[attr-defined]

    @property
    def is_new(self) -> bool:
        return self.cleaned_data.get("target") == NEW_CLUSTER

    def clean(self) -> dict[str, Any]:
        """Ignore the suffix unless RENAME is chosen, and taken names in a new cluster."""
        given = super().clean()
        if self.is_new:
            given["on_conflict"] = OnConflict.FAIL
            self.require_name(given)
        if given.get("on_conflict") != OnConflict.RENAME:
            given["suffix"] = ""
        elif not given.get("suffix") and "suffix" not in self.errors:
            self.add_error("suffix", "Enter a suffix for the new names, such as _restored.")
        return given

    def options(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "db_name": given["db_name"],
            "collection_names": self.chosen,
            "on_conflict": given["on_conflict"],
            "suffix": given["suffix"],
            "restore_access_control": given.get("restore_access_control", False),
        }


class CloneForm(NewClusterFields):
    """Name and size of a clone, and one backup for each database."""

    restore_access_control = forms.BooleanField(
        label="Create roles",
        required=False,
        help_text="Creates the roles of the backup with their grants, and no users. Not with "
        "embedded clusters, which have none.",
    )

    def __init__(self, *args: Any, offer: CloneOffer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = self.fields.pop("restore_access_control")
        self.databases = {f"backup_{number}": each for number, each in enumerate(offer.databases)}
        for field, each in self.databases.items():
            choices = [(backup.pk, each.describe(backup)) for backup in each.backups]
            self.fields[field] = forms.ChoiceField(
                label=f"Database {each.db_name}",
                choices=[*choices, (LEFT_OUT, "Leave this database out")],
                initial=each.preset.pk,
                help_text=each.remark,
            )
        if offer.has_access_control:
            self.fields["restore_access_control"] = roles

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        self.require_name(given)
        if not self.errors and all(given[field] == LEFT_OUT for field in self.databases):
            self.add_error(None, "Choose a backup of at least one database.")
        return given

    @property
    def chosen(self) -> list[Backup]:
        given = [(each, self.cleaned_data.get(field)) for field, each in self.databases.items()]
        return [backup for each, pk in given for backup in each.backups if backup.pk == pk]

    @property
    def backup_with_roles(self) -> Backup | None:
        """Return the chosen backup whose roles are created: one, as roles belong to a server."""
        if not self.cleaned_data.get("restore_access_control"):
            return None
        return next((backup for backup in self.chosen if backup.has_access_control), None)


class DeleteBackupForm(TypedNameForm):
    object_kind = "backup"


def offered_by(backup: Backup) -> list[tuple[str, int | None]]:
    return [(collection["name"], collection["rowCount"]) for collection in backup.collections]


def counted(name: str, rows: int | None) -> SafeString:
    count = "not counted" if rows is None else f"{rows:,} row{'' if rows == 1 else 's'}"
    return format_html('{} <span class="muted">{}</span>', name, count)
