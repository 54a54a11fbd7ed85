"""Pictures of the overview: the answer, the protection calendar, storage and recoveries."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import CharField, Subquery, Sum, Value
from django.urls import reverse

from backups.models import StorageDay
from backups.policies.days import CALENDAR_DAYS, zone_of_policy
from backups.policies.models import BackupPolicy, PolicyDay
from clusters.reconcile import CONSOLE
from clusters.states import TaskKind
from vbase_console.core.quantities import size_text
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task
from vbase_console.web import charts

MAX_POLICIES = 12
MAX_SERIES = 5
MAX_RECOVERIES = 5
RECENT_TASKS = 200
RECOVERY_WINDOW = timedelta(hours=24)
OUTCOMES = ("good", "late", "failed", "missed", "none")
SHAPES: dict[str, charts.Blocks] = {
    "good": ((0, 22),),
    "late": ((8, 14),),
    "failed": ((0, 8), (14, 8)),
    "missed": ((15, 7),),
    "none": ((20, 2),),
}
"""Outcome of a day → its blocks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProtectionAnswer:
    """Answer to "is everything protected?" with a link for each reason."""

    tone: str
    text: str
    reasons: Sequence[tuple[str, str]] = ()
    """Text and address."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CalendarRow:
    policy: BackupPolicy
    days: Sequence[charts.DayCell]
    bars: Sequence[charts.Bar]
    title: str
    summary: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredSizes:
    """Sizes of backups by day: of all clusters together, and of the largest ones."""

    totals: Mapping[date, int]
    by_cluster: Mapping[tuple[str, date], int]
    names: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StorageRow:
    css_class: str
    name: str
    size_bytes: int
    cluster_id: str = ""
    """Empty for the sum of the other clusters."""


def answer_of(
    organization: str, figures: dict[str, int], unhealthy: Sequence[Any]
) -> ProtectionAnswer:
    covered, uncovered, stale = figures["covered"], figures["uncovered"], figures["stale"]
    if not covered and not uncovered:
        return ProtectionAnswer(
            tone="still", text="Nothing to protect yet: no collections were found."
        )
    protection = reverse("protection", args=[organization])
    reasons = []
    if uncovered:
        reasons.append((f"{_many(uncovered, 'collection')} in no active policy", "uncovered"))
    if stale:
        reasons.append((f"{_many(stale, 'collection')} with an overdue backup", "stale"))
    links = [(text, f"{protection}?state={state}") for text, state in reasons]
    if unhealthy:
        policies = f"{_many(len(unhealthy), 'policy', 'policies')} without a good latest run"
        links.append((policies, reverse("policy-list", args=[organization])))
    if links:
        tone = "bad" if uncovered or stale else "warn"
        text = "Not everything is protected:" if reasons else "Protected, but not for long:"
        return ProtectionAnswer(tone=tone, text=text, reasons=links)
    total = "The only collection is" if covered == 1 else f"All {covered:,} collections are"
    return ProtectionAnswer(
        tone="good", text=f"Everything is protected. {total} backed up on schedule."
    )


def calendar_of(
    principal: Principal, listed: Iterable[BackupPolicy], now: datetime
) -> list[CalendarRow]:
    """Return one row of days for each of the first policies."""
    policies = list({policy.pk: policy for policy in listed}.values())[:MAX_POLICIES]
    oldest = (now - timedelta(days=CALENDAR_DAYS)).date()
    days = PolicyDay.objects.visible_to(principal).filter(policy__in=policies, day__gte=oldest)
    found: dict[str, dict[date, PolicyDay]] = defaultdict(dict)
    for day in days:
        found[day.policy_id][day.day] = day
    return [_calendar_row(policy, found[policy.pk], now) for policy in policies]


def _calendar_row(policy: BackupPolicy, found: dict[date, PolicyDay], now: datetime) -> CalendarRow:
    today = now.astimezone(zone_of_policy(policy)).date()
    days = [today - timedelta(days=ago) for ago in range(CALENDAR_DAYS - 1, -1, -1)]
    outcomes = [found[day].outcome if day in found else "none" for day in days]
    counts = {name: outcomes.count(name) for name in OUTCOMES if name in outcomes}
    troubles = [f"{counts[name]} {name}" for name in ("failed", "missed", "late") if name in counts]
    summary = ", ".join(troubles) or ("all good" if "good" in counts else "no runs")
    titles = [f"{day:%Y-%m-%d}: {_day_in_words(found.get(day))}" for day in days]
    bars = charts.cell_bars(outcomes, titles, SHAPES)
    cells = [
        charts.DayCell(
            day=day,
            text=f"{day:%a} {day.day} {day:%b}: {_day_in_words(found.get(day))}",
            has_cause=outcome != "none",
        )
        for day, outcome in zip(days, outcomes, strict=True)
    ]
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    title = f"{policy.cluster.name}: {policy.name}, last {CALENDAR_DAYS} days: {listed}"
    return CalendarRow(policy=policy, days=cells, bars=bars, title=title, summary=summary)


def _day_in_words(day: PolicyDay | None) -> str:
    if day is None or day.outcome == "none":
        return "no run"
    counts = {"good": day.good, "late": day.late, "failed": day.failed, "skipped": day.skipped}
    parts = [f"{count} {name}" for name, count in counts.items() if count]
    return ", ".join([*parts, *(["a run was missed"] if day.has_gap else [])])


def storage_of(principal: Principal, now: datetime) -> dict[str, Any]:
    """Return the sizes of backups by day: the largest clusters, and the sum of the others."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=ago) for ago in range(CALENDAR_DAYS - 1, -1, -1)]
    stored = _stored_since(days[0], principal)
    if not stored.totals:
        return {"storage": None}
    newest = max(stored.totals)
    total = stored.totals[newest]
    rows = _storage_rows(stored, newest)
    columns = [charts.Column(parts=list(_parts_of(day, rows, stored))) for day in days]
    return {
        "storage": charts.column_chart(columns, text_of=size_text, base=1024, height=120),
        "storage_rows": rows,
        "storage_total": total,
        "storage_title": f"Backup storage of the last {CALENDAR_DAYS} days, now {size_text(total)}",
        "storage_days": (days[0], days[-1]),
    }


def _stored_since(first_day: date, principal: Principal) -> StoredSizes:
    stored = StorageDay.objects.visible_to(principal).filter(day__gte=first_day).order_by()
    latest = stored.order_by("-day").values("day")[:1]
    ranked = stored.filter(day=Subquery(latest)).order_by("-size_bytes", "cluster")
    # The sums are read from an index. A join to the clusters, or a group for each of the largest,
    # would read the rows of all clusters.
    none = Value("", output_field=CharField())
    summed = stored.annotate(large=none, name=none).values("large", "name", "day")
    largest = stored.filter(cluster__in=ranked.values("cluster")[:MAX_SERIES])
    sums = summed.annotate(size=Sum("size_bytes")).values_list("large", "name", "day", "size")
    shown = largest.values_list("cluster", "cluster__name", "day", "size_bytes")
    totals: dict[date, int] = {}
    sizes: dict[tuple[str, date], int] = {}
    names: dict[str, str] = {}
    for pk, name, day, size_bytes in sums.union(shown, all=True):
        if pk:
            sizes[pk, day], names[pk] = size_bytes, name
        else:
            totals[day] = size_bytes
    return StoredSizes(totals=totals, by_cluster=sizes, names=names)


def _storage_rows(stored: StoredSizes, day: date) -> list[StorageRow]:
    """Return the largest clusters of a day, the largest first, and the sum of the others."""
    sizes = {pk: stored.by_cluster.get((pk, day), 0) for pk in stored.names}
    rows = [
        StorageRow(
            css_class=f"series-{place}",
            name=stored.names[pk],
            size_bytes=sizes[pk],
            cluster_id=pk,
        )
        for place, pk in enumerate(sorted(sizes, key=lambda pk: (-sizes[pk], pk)), start=1)
    ]
    if rest := stored.totals[day] - sum(sizes.values()):
        rows.append(StorageRow(css_class="series-6", name="Other clusters", size_bytes=rest))
    return rows


def _parts_of(
    day: date, rows: Sequence[StorageRow], stored: StoredSizes
) -> Iterable[tuple[float, str, str]]:
    rest = stored.totals.get(day, 0)
    for row in rows:
        value = stored.by_cluster.get((row.cluster_id, day), 0) if row.cluster_id else rest
        rest -= value
        if value:
            yield value, row.css_class, f"{day:%Y-%m-%d} (UTC), {row.name}: {size_text(value)}"


def recoveries_of(principal: Principal, now: datetime) -> list[Task]:
    """Return recent restarts by the console, which heal a crashed or stopped cluster."""
    healing = Task.objects.visible_to(principal).filter(kind__in=(TaskKind.RESTART, TaskKind.START))
    recent = healing.order_by("-pk").values("pk")[:RECENT_TASKS]
    by_console = Task.objects.visible_to(principal).filter(pk__in=recent, requested_by=CONSOLE)
    since = by_console.filter(created_at__gt=now - RECOVERY_WINDOW).order_by("-pk")
    return list(since[:MAX_RECOVERIES])


def _many(count: int, noun: str, nouns: str = "") -> str:
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
