"""Forms of policies. Services decide which values are valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.html import format_html

from backups.discovery import DiscoveredCollection
from backups.forms import MAX_CHECKBOXES, counted
from backups.names import DEFAULT_DATABASE
from backups.policies.models import BackupPolicy
from backups.policies.presets import CUSTOM, DAILY, PRESETS, preset_of
from backups.policies.states import MAX_RETENTION_COUNT, OnMissing
from backups.policies.validation import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, SPEC_FIELDS

ALL, CHOSEN = "all", "chosen"
ABOUT = ("name", "description", "include_access_control")
SCHEDULE = ("schedule_cron", "timezone", "retention_count")
TYPED_SCHEDULE = ("preset", *SCHEDULE)
"""Fields of `ScheduleForm`. The preset decides the expression."""
TYPED = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class ScheduleForm(forms.Form):
    """Schedule and retention: the part that is previewed while the user types."""

    preset = forms.ChoiceField(
        label="Schedule",
        required=False,
        initial=DAILY,
        widget=forms.RadioSelect,
        choices=[
            *((key, preset.label) for key, preset in PRESETS.items()),
            (CUSTOM, "Custom"),
        ],
    )
    schedule_cron = forms.CharField(
        label="Cron expression",
        max_length=200,
        initial="0 3 * * *",
        error_messages={"required": "Enter a schedule, for example 0 3 * * * or @daily."},
        widget=forms.TextInput(attrs=TYPED | {"list": "schedules", "class": "code"}),
        help_text="Minute, hour, day of month, month, day of week; or @hourly, @daily, "
        "@weekly, @monthly.",
    )
    timezone = forms.CharField(
        label="Time zone",
        max_length=64,
        initial="UTC",
        error_messages={"required": "Enter a time zone, for example UTC or Europe/Berlin."},
        widget=forms.TextInput(attrs=TYPED | {"list": "zones"}),
        help_text="Runs in this time zone, daylight saving included.",
    )
    retention_count = forms.IntegerField(
        label="Backups to keep",
        min_value=1,
        max_value=MAX_RETENTION_COUNT,
        initial=7,
        error_messages={"required": f"Enter a number from 1 to {MAX_RETENTION_COUNT}."},
        help_text="Keeps the latest complete backups, plus pinned ones and the last "
        "restore-tested one.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in SCHEDULE:
            described = f"id_{name}_helptext id_{name}_error"
            self.fields[name].widget.attrs["aria-describedby"] = described

    def clean(self) -> dict[str, Any]:
        """Replace the expression by that of the chosen preset."""
        given = super().clean() or {}
        if preset := PRESETS.get(given.pop("preset", "")):
            given["schedule_cron"] = preset.schedule_cron
            self.errors.pop("schedule_cron", None)
        return given


class NamesField(forms.MultipleChoiceField):
    """Collections to select, listed from the cluster when the form is shown. Any name is valid,
    because a run reports missing collections.
    """

    def valid_value(self, value: Any) -> bool:
        return True


class PolicyForm(ScheduleForm):
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=MAX_NAME_LENGTH,
        widget=forms.TextInput(attrs=TYPED),
        help_text="Leave blank to use the schedule in words.",
    )
    description = forms.CharField(
        label="Description",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "maxlength": MAX_DESCRIPTION_LENGTH}),
    )
    include_access_control = forms.BooleanField(
        label="Include users and roles",
        required=False,
        help_text="Users (names only), roles, grants and privilege groups of the whole server. "
        "Embedded clusters have none.",
    )
    db_name = forms.CharField(
        label="Database",
        max_length=255,
        initial=DEFAULT_DATABASE,
        widget=forms.TextInput(attrs=TYPED),
    )
    which = forms.ChoiceField(
        label="Collections",
        widget=forms.RadioSelect,
        initial=ALL,
        choices=[(ALL, "All collections at run time"), (CHOSEN, "Only these")],
    )
    collection_names = NamesField(
        label="Which", required=False, widget=forms.CheckboxSelectMultiple
    )
    others = forms.CharField(
        label="Further collections",
        required=False,
        help_text="One name per line.",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "class": "code"}),
    )
    on_missing = forms.ChoiceField(
        label="If a collection is missing at run time",
        widget=forms.RadioSelect,
        initial=OnMissing.FAIL,
        choices=[
            (OnMissing.FAIL, "The run fails"),
            (OnMissing.WARN, "Back up the others; the backup counts as incomplete"),
        ],
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        given["others"] = [
            line.strip() for line in str(given.get("others", "")).splitlines() if line.strip()
        ]
        if given.get("which") == CHOSEN and not self._chosen(given):
            self.add_error("which", "Choose at least one collection, or all of them.")
        return given

    @property
    def about(self) -> list[forms.BoundField]:
        return [self[name] for name in ABOUT]

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of a `PolicySpec`, without `is_active`. No names: all collections."""
        given = self.cleaned_data
        names = self._chosen(given) if given["which"] == CHOSEN else []
        shared = {name: given[name] for name in SPEC_FIELDS if name in given}
        return shared | {"collection_names": names}

    def offer(
        self, databases: Sequence[str], collections: Sequence[DiscoveredCollection] | None
    ) -> None:
        """List the cluster's databases and collections, and chosen ones that do not exist.

        `collections` is None if the cluster could not be read.
        """
        rows = {collection.name: collection.rows for collection in collections or ()}
        listed = list(rows)[:MAX_CHECKBOXES]
        ticked = [str(name) for name in self["collection_names"].value() or ()]

        def unlisted(name: str) -> str:
            return "" if collections is None or name in rows else "not found"

        choices = [(name, counted(name, rows[name])) for name in listed]
        choices += [
            (name, format_html('{} <span class="muted">{}</span>', name, unlisted(name)))
            for name in ticked
            if name not in listed
        ]
        self.fields["collection_names"].choices = choices  # type: ignore[attr-defined]
        database = str(self["db_name"].value() or "")
        self.fields["db_name"].widget = _database_widget(databases, database)
        if collections is not None and len(rows) <= MAX_CHECKBOXES and not self["others"].value():
            del self.fields["others"]

    def _chosen(self, given: dict[str, Any]) -> list[str]:
        return list(dict.fromkeys([*given.get("collection_names", ()), *given["others"]]))


def shown_in_form(policy: BackupPolicy) -> dict[str, Any]:
    names = policy.collection_names
    return vars(policy.spec) | {
        "preset": preset_of(policy.schedule_cron),
        "which": CHOSEN if names else ALL,
        "collection_names": names[:MAX_CHECKBOXES],
        "others": "\n".join(names[MAX_CHECKBOXES:]),
    }


def _database_widget(databases: Sequence[str], chosen: str) -> forms.Widget:
    """Offer a choice of databases, or a text field if they are unknown."""
    if not databases:
        return forms.TextInput(attrs=TYPED)
    choices = [(name, name) for name in databases]
    if chosen and chosen not in databases:
        choices.append((chosen, f"{chosen} (not found)"))
    return forms.Select(choices=choices)
