"""Times are relative and short, sizes and durations in words; the exact value is in the title."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from vbase_console.core.quantities import (
    count_text,
    duration,
    exact_time,
    relation,
    relative_time,
    size,
)
from vbase_console.web.live import content_mark

NOW = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)
RELATIONS = [
    (timedelta(seconds=-20), "just now"),
    (timedelta(minutes=-5), "5 min ago"),
    (timedelta(hours=-3, minutes=-50), "3 h ago"),
    (timedelta(days=-12), "12 d ago"),
    (timedelta(days=-40), "31 Jan 2026"),
    (timedelta(seconds=20), "in a moment"),
    (timedelta(hours=2), "in 2 h"),
]
# A machine-readable time and the calendar day of an axis or its table are no times in sentences.
RAW = re.compile(
    r"{{ *[\w.]*(?:_at|_bytes|_seconds|bytes|seconds|until|_since|expiry_date|last_login) *}}"
    r"|\|(?:date(?!:'c'|:\"(?:D )?j M\")|time|timesince|timeuntil|naturaltime|filesizeformat)\b"
)


@pytest.mark.parametrize(("distance", "words"), RELATIONS)
def test_a_time_is_relative_up_to_thirty_days(distance: timedelta, words: str) -> None:
    assert relation(NOW + distance, NOW) == words


def test_a_relative_time_has_the_exact_one_in_its_title() -> None:
    html = relative_time(NOW)
    assert '<time datetime="2026-03-12T14:30:00Z" title="2026-03-12 14:30:00 UTC">' in html


def test_a_sentence_shows_the_date() -> None:
    assert "12 Mar 2026, 14:30 UTC</time>" in exact_time(NOW)


def test_a_size_has_the_number_of_bytes_in_its_title() -> None:
    assert size(1_234_567) == '<span title="1,234,567 bytes">1.2\N{NO-BREAK SPACE}MB</span>'


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (3, "3 s"),
        (42.4, "42 s"),
        (200, "3 min 20 s"),
        (3_725, "1 h 2 min"),
    ],
)
def test_a_duration_is_in_words(seconds: float, words: str) -> None:
    assert re.sub("<[^>]*>", "", duration(seconds)) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0"), (9_999, "9,999"), (12_500, "12.5 k"), (2_500_000, "2.5 M"), (5e10, "50 bn")],
)
def test_a_number_beside_a_picture_is_short(count: float, words: str) -> None:
    assert count_text(count) == words


def test_a_missing_value_is_a_dash() -> None:
    assert {relative_time(None), exact_time(None), size(None), duration(None)} == {"—"}


def test_a_part_of_a_page_stays_the_same_while_its_times_grow_older() -> None:
    at = timezone.now()
    younger = f'<div id="list">{relative_time(at)}</div>'
    older = younger.replace("just now", "7 min ago")
    assert content_mark(younger, [], is_busy=False) == content_mark(older, [], is_busy=False)


def test_no_template_prints_a_raw_time_size_or_duration() -> None:
    paths = (settings.BASE_DIR / "templates").rglob("*.html")
    raw = {(path.name, found[0]) for path in paths for found in RAW.finditer(path.read_text())}
    assert raw == set()
