"""Picture of the operations: how many ended on each day, by their result."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from django.urls import reverse

from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.days import counts_of, shown_days
from vbase_console.tasks.states import TaskState
from vbase_console.web import charts

RESULTS = {
    TaskState.FAILED: ("failed", "bar-bad"),
    TaskState.CANCELLED: ("cancelled", "bar-cancelled"),
    TaskState.SUCCEEDED: ("succeeded", "bar-good"),
}
"""State → its word and look, from the bottom of a column, so that failures stand side by side."""
HEIGHT = 80
LEAST_PIXELS = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationDay(charts.DayCell):
    numbers: Sequence[int]
    """In the order of `RESULTS`."""

    @property
    def named(self) -> list[tuple[str, int]]:
        """Words and numbers in the order of the table."""
        words = [word for word, _ in RESULTS.values()]
        return list(zip(reversed(words), reversed(self.numbers), strict=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationBar:
    chart: charts.ColumnChart
    days: Sequence[OperationDay]
    totals: Sequence[tuple[str, str, int]]
    """Word, look and number of each result."""
    title: str
    address: str
    """List of the operations."""

    @property
    def ends(self) -> tuple[date, date]:
        return self.days[0].day, self.days[-1].day


def operation_bar_of(principal: Principal, id_prefixes: Sequence[str]) -> OperationBar | None:
    """Return the ended operations of the last days. None if there are none."""
    counts = counts_of(principal, id_prefixes)
    days = [_day(day, counts.get(day, {})) for day in shown_days()]
    if not any(day.has_cause for day in days):
        return None
    sums = Counter({state: sum(day.numbers[n] for day in days) for n, state in enumerate(RESULTS)})
    columns = [
        charts.Column(
            parts=[
                (number, look, f"{day.day:%Y-%m-%d}: {number:,} {word}")
                for (word, look), number in zip(RESULTS.values(), day.numbers, strict=True)
                if number
            ]
        )
        for day in days
    ]
    return OperationBar(
        chart=charts.column_chart(columns, text_of=_whole, height=HEIGHT, least=LEAST_PIXELS),
        days=days,
        totals=[(*RESULTS[state], sums[state]) for state in RESULTS],
        title=f"Operations that ended in the last {len(days)} days: {_listed(sums)}",
        address=reverse("operation-list", args=[principal.organization_name]),
    )


def _day(day: date, counts: Mapping[TaskState, int]) -> OperationDay:
    return OperationDay(
        day=day,
        numbers=[counts.get(state, 0) for state in RESULTS],
        text=f"{day:%a} {day.day} {day:%b}: {_listed(counts)}",
        has_cause=any(counts.values()),
    )


def _listed(counts: Mapping[TaskState, int]) -> str:
    """Return the numbers in words, the successful ones first."""
    states = reversed(RESULTS)
    numbers = [f"{counts[state]:,} {RESULTS[state][0]}" for state in states if counts.get(state)]
    return ", ".join(numbers)


def _whole(value: float) -> str:
    """Return no text for half an operation."""
    return f"{value:,.0f}" if value.is_integer() else ""
