"""Strips of availability: one cell for each day, in lists and on the page of a cluster."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Sequence
from datetime import date

from django.urls import reverse

from clusters.availability import Cell, ObservedDay, days_of, percent_of
from clusters.models import Cluster
from vbase_console.core.quantities import duration_text
from vbase_console.web import charts

SHAPES: dict[str, charts.Blocks] = {
    Cell.AVAILABLE: ((0, 22),),
    Cell.PARTLY: ((11, 11),),
    Cell.INTERRUPTED: ((0, 9), (13, 9)),
    Cell.DOWN: ((0, 5), (8.5, 5), (17, 5)),
    Cell.STOPPED: ((15, 7),),
    Cell.UNKNOWN: ((20, 2),),
    Cell.ABSENT: (),
}
"""Cell → its blocks."""
WORDS = {
    Cell.AVAILABLE: "available",
    Cell.PARTLY: "partly observed",
    Cell.INTERRUPTED: "interrupted",
    Cell.DOWN: "down",
    Cell.STOPPED: "stopped on purpose",
    Cell.UNKNOWN: "no data",
    Cell.ABSENT: "did not exist",
}
LEAST_GAP_SECONDS = 60
"""Shorter times without observations are not named."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strip:
    """Compact strip of a list."""

    cells: Sequence[charts.CellPath]
    percent: str
    title: str
    address: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class StripDay(charts.DayCell):
    """Day of a cluster. One with an interruption leads to its operations."""

    observed: ObservedDay


@dataclasses.dataclass(frozen=True, kw_only=True)
class AvailabilityPicture:
    """Strip of a cluster's page with its words."""

    bars: Sequence[charts.Bar]
    days: Sequence[StripDay]
    percent: str
    title: str
    address: str
    """List of the cluster's operations."""
    legend: Sequence[tuple[str, str, charts.Blocks]]
    """Look, word and blocks of each kind of cell."""

    @property
    def troubles(self) -> list[StripDay]:
        """Days with an interruption, the latest first."""
        return [day for day in reversed(self.days) if day.has_cause]

    @property
    def ends(self) -> tuple[date, date]:
        return self.days[0].day, self.days[-1].day


def strips_of(clusters: Sequence[Cluster], organization: str) -> dict[str, Strip]:
    """Return the strips of the clusters of a list, in one statement."""
    observed = days_of(clusters)
    strips = {}
    for cluster in clusters:
        days = observed[cluster.pk]
        page = reverse("cluster-detail", args=[organization, cluster.pk])
        strips[cluster.pk] = Strip(
            cells=_cells(tuple(day.cell for day in days)),
            percent=percent_text(days),
            title=f"Availability of {cluster.name}, {_summary(days)}",
            address=f"{page}#availability",
        )
    return strips


def picture_of(cluster: Cluster, organization: str) -> AvailabilityPicture:
    days = days_of([cluster])[cluster.pk]
    listed = [
        StripDay(
            day=day.day,
            text=f"{day.day:%a} {day.day.day} {day.day:%b}: {words_of(day)}",
            has_cause=day.interrupted_seconds > 0,
            observed=day,
        )
        for day in days
    ]
    return AvailabilityPicture(
        bars=charts.cell_bars([day.cell for day in days], [day.text for day in listed], SHAPES),
        days=listed,
        percent=percent_text(days),
        title=f"Availability of {cluster.name}, {_summary(days)}",
        address=reverse("cluster-operation-list", args=[organization, cluster.pk]),
        legend=[(f"day-{cell}", WORDS[cell], SHAPES[cell]) for cell in Cell if SHAPES[cell]],
    )


def words_of(day: ObservedDay) -> str:
    """Return a day in words, such as "interrupted for 3 min 20 s, no data for 1 h 0 min"."""
    if day.cell in (Cell.ABSENT, Cell.UNKNOWN):
        return WORDS[day.cell]
    times = [("interrupted", day.interrupted_seconds), ("stopped on purpose", day.stopped_seconds)]
    if day.unknown_seconds >= LEAST_GAP_SECONDS:
        times.append(("no data", day.unknown_seconds))
    listed = [f"{word} for {duration_text(seconds)}" for word, seconds in times if seconds]
    if not day.available_seconds:
        return ", ".join(["never available", *listed])
    return ", ".join(listed) or "available all day"


def percent_text(days: Sequence[ObservedDay]) -> str:
    percent = percent_of(days)
    return "" if percent is None else f"{percent:.2f} %".replace("100.00", "100")


@functools.lru_cache(maxsize=1_000)
def _cells(cells: tuple[Cell, ...]) -> list[charts.CellPath]:
    """Draw equal strips once, because most clusters are available all the time."""
    return charts.cell_paths(cells, SHAPES)


def _summary(days: Sequence[ObservedDay]) -> str:
    counts = Counter(day.cell for day in days)
    numbers = [
        f"{WORDS[cell]} on {counts[cell]} day{'' if counts[cell] == 1 else 's'}"
        for cell in (Cell.DOWN, Cell.INTERRUPTED, Cell.PARTLY, Cell.UNKNOWN)
        if counts[cell]
    ]
    return f"{len(days)} days: {', '.join([percent_text(days) or 'not observed', *numbers])}"
