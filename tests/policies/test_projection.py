"""Backups that a policy would have at a later instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from backups.policies.cron import next_after, parse
from backups.policies.projection import Projection, project

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def projected(schedule: str, at: datetime, *existing: datetime, count: int = 7) -> Projection:
    found = project(parse(schedule), UTC, existing=existing, retention_count=count, now=NOW, at=at)
    assert found is not None
    return found


def test_a_daily_policy_of_seven_has_a_week() -> None:
    found = projected("0 3 * * *", datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert (found.count, found.oldest, found.newest) == (
        7,
        datetime(2026, 2, 23, 3, tzinfo=UTC),
        datetime(2026, 3, 1, 3, tzinfo=UTC),
    )


def test_existing_backups_count_until_newer_ones_replace_them() -> None:
    found = projected("0 3 * * *", NOW + 2 * DAY, NOW - 10 * DAY, NOW - DAY, count=3)
    assert (found.count, found.oldest) == (3, NOW - DAY)


def test_without_a_run_until_then_there_is_what_exists() -> None:
    assert projected("@yearly", NOW + DAY, NOW - DAY).count == 1


def test_irregular_runs_are_all_found() -> None:
    # Twelve runs within the first hour of each month: the next two are a few minutes apart.
    found = projected("*/5 0 1 * *", datetime(2026, 6, 20, tzinfo=UTC), count=20)
    assert (found.count, found.newest) == (20, datetime(2026, 6, 1, 0, 55, tzinfo=UTC))


def test_too_many_runs_are_refused() -> None:
    found = project(
        parse("* * * * *"),
        UTC,
        existing=(),
        retention_count=50_000,
        now=NOW,
        at=NOW + 365 * DAY,
    )
    assert found is None


@given(st.integers(1, 30), st.integers(0, 400), st.sampled_from(["0 3 * * *", "0 */6 * * 1"]))
def test_it_is_what_counting_each_run_would_give(count: int, days: int, schedule: str) -> None:
    at, run, runs = NOW + days * DAY, NOW, []
    while (run := next_after(parse(schedule), UTC, run)) <= at:
        runs.append(run)
    found = projected(schedule, at, count=count)
    assert (found.count, found.oldest) == (
        len(runs[-count:]),
        runs[-count:][0] if runs else None,
    )
