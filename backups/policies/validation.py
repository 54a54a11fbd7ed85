"""What a policy asks for, understood or refused in words; nothing here asks a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from backups.names import MAX_COLLECTIONS, TOO_MANY_COLLECTIONS
from backups.policies.cron import BadCron, BadZone, Cron, parse, zone_of
from backups.policies.states import MAX_RETENTION_COUNT, OnMissing
from clusters.milvus_names import (
    RESERVED_PREFIX,
    Kind,
    is_reserved,
    refusal_of_any_server,
    shown,
)
from vbase_console.core.errors import InvalidArgument


class FieldErrors:
    """All that is wrong with a request, field by field, said at once."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, field: str, text: str) -> None:
        self._found.setdefault(field, []).append(text)

    def raise_any(self) -> None:
        if self._found:
            raise InvalidArgument(field_errors=self._found)


def check(
    *,
    schedule_cron: str,
    timezone: str,
    retention_count: int,
    db_name: str = "default",
    collection_names: Sequence[str] = (),
    on_missing: str = OnMissing.FAIL,
) -> Cron:
    """The schedule; `InvalidArgument` naming every field that is not right."""
    refusals = FieldErrors()
    cron = _schedule(refusals, schedule_cron, timezone)
    if isinstance(retention_count, bool) or not 1 <= retention_count <= MAX_RETENTION_COUNT:
        refusals.add("retention_count", f"Keep 1 to {MAX_RETENTION_COUNT} backups.")
    if unnamable := refusal_of_any_server(Kind.DATABASE, db_name):
        refusals.add("db_name", unnamable)
    for name in collection_names:
        _check_collection(refusals, name)
    if len(collection_names) > MAX_COLLECTIONS:
        text = f"{TOO_MANY_COLLECTIONS} A policy that names none takes every collection."
        refusals.add("collection_names", text)
    if on_missing not in OnMissing.values:
        refusals.add("on_missing", f"Give one of {', '.join(OnMissing.values)}.")
    refusals.raise_any()
    return cron


def _schedule(refusals: FieldErrors, text: str, zone: str) -> Cron:
    try:
        zone_of(zone)
    except BadZone as error:
        refusals.add("timezone", str(error))
    try:
        return parse(text)
    except BadCron as error:
        refusals.add("schedule_cron", str(error))
    return parse("@daily")  # never seen: the refusal is raised


def _check_collection(refusals: FieldErrors, name: str) -> None:
    if is_reserved(name):
        text = f"{shown(name)}: names that begin with {RESERVED_PREFIX} are the console's own."
        refusals.add("collection_names", text)
    elif unnamable := refusal_of_any_server(Kind.COLLECTION, name):
        refusals.add("collection_names", unnamable)
