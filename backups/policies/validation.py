"""Fields that users set on a policy, and their rules. Clusters are not consulted."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TypedDict

from backups.names import DEFAULT_DATABASE, MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.policies.cron import BadCron, BadZone, Cron, in_words, parse, zone_of
from backups.policies.states import MAX_RETENTION_COUNT, OnMissing
from clusters.milvus_names import (
    RESERVED_PREFIX,
    Kind,
    is_reserved,
    refusal_of_any_server,
    shown,
)
from vbase_console.core.errors import InvalidArgument

MAX_NAME_LENGTH = 63
MAX_DESCRIPTION_LENGTH = 500
DEFAULT_ZONE = "UTC"


class FieldErrors:
    """Errors of all fields of a request, raised together."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}

    def add(self, field: str, text: str) -> None:
        self._texts.setdefault(field, []).append(text)

    def raise_any(self) -> None:
        if self._texts:
            raise InvalidArgument(field_errors=self._texts)


class PolicyChanges(TypedDict, total=False):
    name: str
    description: str
    schedule_cron: str
    timezone: str
    retention_count: int
    is_active: bool
    db_name: str
    collection_names: Sequence[str]
    on_missing: str
    include_access_control: bool


@dataclasses.dataclass(kw_only=True)
class PolicySpec:
    """All fields that users set on a policy. Services, admin and preview pass them on unread."""

    name: str = ""
    """Blank: the schedule in words, numbered where the cluster has such a policy already."""
    description: str = ""
    schedule_cron: str
    timezone: str = DEFAULT_ZONE
    retention_count: int
    is_active: bool = True
    db_name: str = DEFAULT_DATABASE
    collection_names: Sequence[str] = ()
    """Empty: every collection at run time."""
    on_missing: str = OnMissing.FAIL
    include_access_control: bool = False

    def __post_init__(self) -> None:
        self.name = self.name.strip()
        self.description = self.description.replace("\r\n", "\n").strip()
        self.collection_names = list(dict.fromkeys(name for name in self.collection_names if name))

    def with_defaults(self) -> PolicySpec:
        """Replace a blank time zone or database by its default, as for a new policy."""
        return dataclasses.replace(
            self,
            timezone=self.timezone or DEFAULT_ZONE,
            db_name=self.db_name or DEFAULT_DATABASE,
        )

    def changed_from(self, other: PolicySpec) -> set[str]:
        return {name for name in SPEC_FIELDS if getattr(self, name) != getattr(other, name)}

    def check(self) -> Cron:
        """Return the parsed schedule. Raises InvalidArgument naming every invalid field."""
        errors = FieldErrors()
        cron = _check_schedule(errors, self.schedule_cron, self.timezone)
        if len(self.name) > MAX_NAME_LENGTH or not self.name.isprintable():
            errors.add("name", f"Use 1 to {MAX_NAME_LENGTH} printable characters.")
        if len(self.description) > MAX_DESCRIPTION_LENGTH:
            errors.add("description", f"Use at most {MAX_DESCRIPTION_LENGTH} characters.")
        if (
            isinstance(self.retention_count, bool)
            or not 1 <= self.retention_count <= MAX_RETENTION_COUNT
        ):
            errors.add("retention_count", f"Keep 1 to {MAX_RETENTION_COUNT} backups.")
        if error := refusal_of_any_server(Kind.DATABASE, self.db_name):
            errors.add("db_name", error)
        _check_collections(errors, self.collection_names)
        if self.on_missing not in OnMissing.values:
            errors.add("on_missing", f"Give one of {', '.join(OnMissing.values)}.")
        errors.raise_any()
        return cron


SPEC_FIELDS = tuple(field.name for field in dataclasses.fields(PolicySpec))


def default_name(schedule_cron: str, number: int = 1) -> str:
    """Return the schedule in words, numbered from 2 on, in at most 63 characters."""
    suffix = f" ({number})" if number > 1 else ""
    return in_words(schedule_cron)[: MAX_NAME_LENGTH - len(suffix)].rstrip() + suffix


def has_default_name(spec: PolicySpec) -> bool:
    numbered = re.search(r" \(([0-9]+)\)$", spec.name)
    return spec.name == default_name(spec.schedule_cron, int(numbered[1]) if numbered else 1)


def _check_schedule(errors: FieldErrors, text: str, zone: str) -> Cron:
    try:
        zone_of(zone)
    except BadZone as error:
        errors.add("timezone", str(error))
    try:
        return parse(text)
    except BadCron as error:
        errors.add("schedule_cron", str(error))
    return parse("@daily")  # never returned by `check`, which raises the error


def _check_collections(errors: FieldErrors, names: Sequence[str]) -> None:
    for name in names:
        if is_reserved(name):
            text = f"{shown(name)}: names that begin with {RESERVED_PREFIX} are the console's own."
            errors.add("collection_names", text)
        elif error := refusal_of_any_server(Kind.COLLECTION, name):
            errors.add("collection_names", error)
    if len(names) > MAX_COLLECTIONS:
        text = f"{TOO_MANY_COLLECTIONS} A policy without names takes every collection."
        errors.add("collection_names", text)
