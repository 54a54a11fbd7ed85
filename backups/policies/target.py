"""What a policy asks for, understood or refused in words; nothing here asks a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from backups.names import is_name
from backups.policies.cron import BadCron, BadZone, Cron, parse, zone_of
from backups.policies.models import MOST_RETAINED
from backups.policies.states import OnMissing
from vbase_console.errors import InvalidArgument

RESERVED = "_vbase_"
MOST_COLLECTIONS = 1000


class Refusals:
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
    refusals = Refusals()
    cron = _schedule(refusals, schedule_cron, timezone)
    if isinstance(retention_count, bool) or not 1 <= retention_count <= MOST_RETAINED:
        refusals.add("retentionCount", f"Keep 1 to {MOST_RETAINED} backups.")
    if not is_name(db_name):
        refusals.add("dbName", _unnamable(db_name))
    for name in collection_names:
        _check_collection(refusals, name)
    if len(collection_names) > MOST_COLLECTIONS:
        text = f"Name at most {MOST_COLLECTIONS}, or none for every collection."
        refusals.add("collectionNames", text)
    if on_missing not in OnMissing.values:
        refusals.add("onMissing", f"Give one of {', '.join(OnMissing.values)}.")
    refusals.raise_any()
    return cron


def _schedule(refusals: Refusals, text: str, zone: str) -> Cron:
    try:
        zone_of(zone)
    except BadZone as error:
        refusals.add("timezone", str(error))
    try:
        return parse(text)
    except BadCron as error:
        refusals.add("scheduleCron", str(error))
    return parse("@daily")  # never seen: the refusal is raised


def _check_collection(refusals: Refusals, name: str) -> None:
    if name.startswith(RESERVED):
        text = f"{name}: names that begin with {RESERVED} are the console's own."
        refusals.add("collectionNames", text)
    elif not is_name(name):
        refusals.add("collectionNames", _unnamable(name))


def _unnamable(name: str) -> str:
    shown = name[:64].replace("\x00", "?")
    return (
        f"'{shown}' cannot be a name in Milvus: use up to 255 letters, digits and underscores, "
        "a letter or underscore first."
    )
