"""Geometry of the pictures: every value, also a hostile one, has a place inside the picture."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from vbase_console.web import charts
from vbase_console.web.charts import Column, column_chart, line_chart, percent, round_steps

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANY = st.floats(allow_nan=True, allow_infinity=True)
HOSTILE = '"><script>alert(1)</script>'


def chart_of(*values: float, gap: timedelta = HOUR) -> charts.LineChart:
    points = [(NOON + n * HOUR, value) for n, value in enumerate(values)]
    return line_chart(points, begin=NOON, end=NOON + 10 * HOUR, gap=gap, text_of=str)


@given(ANY, ANY, ANY)
def test_a_place_is_inside_the_picture(value: float, low: float, high: float) -> None:
    assert 0 <= percent(value, low, high) <= 100


def test_the_smallest_number_has_a_place() -> None:
    assert percent(5e-324, 0, 5e-324) == 0


@pytest.mark.parametrize(("value", "place"), [(0, 0), (5, 50), (10, 100), (-3, 0), (99, 100)])
def test_a_value_beyond_the_range_is_moved_to_its_edge(value: float, place: float) -> None:
    assert percent(value, 0, 10) == place


@given(ANY, st.sampled_from([10, 1024]))
def test_steps_are_few_equal_and_reach_no_higher_than_the_values(highest: float, base: int) -> None:
    steps = round_steps(highest, base=base)
    assert len(steps) <= 5
    assert all(step <= highest * (1 + 1e-6) for step in steps)


@pytest.mark.parametrize(
    ("highest", "steps"), [(10, [5, 10]), (7, [5]), (0.3, [0.2]), (1200, [1000]), (0, [])]
)
def test_steps_are_round_numbers(highest: float, steps: list[float]) -> None:
    assert round_steps(highest) == pytest.approx(steps)


@pytest.mark.parametrize(
    ("highest", "steps"), [(5 * 2**20, [5 * 2**20]), (1.4 * 2**20, [2**20]), (900, [500])]
)
def test_steps_of_bytes_are_round_in_their_unit(highest: float, steps: list[int]) -> None:
    assert round_steps(highest, base=1024) == steps


@given(st.lists(ANY, max_size=500))
def test_every_point_of_a_curve_is_inside_the_picture(values: list[float]) -> None:
    for line in chart_of(*values).lines:
        for point in line.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= charts.LINE_WIDTH
            assert 0 <= y <= charts.HEIGHT


def test_a_value_that_is_not_finite_is_a_gap() -> None:
    assert len(chart_of(1, math.nan, 2, gap=HOUR).lines) == 2


def test_a_time_without_a_value_ends_the_line() -> None:
    points = [(NOON, 1.0), (NOON + 5 * HOUR, 2.0)]
    chart = line_chart(points, begin=NOON, end=NOON + 6 * HOUR, gap=HOUR, text_of=str)
    assert [len(line.split()) for line in chart.lines] == [1, 1]


def test_a_peak_survives_the_thinning() -> None:
    points = [(NOON + n * timedelta(minutes=1), float(n == 777)) for n in range(1440)]
    chart = line_chart(points, begin=NOON, end=NOON + 24 * HOUR, gap=HOUR, text_of=str)
    highest = min(float(point.split(",")[1]) for line in chart.lines for point in line.split())
    assert highest == pytest.approx(charts.HEIGHT * 0.1)


def test_no_values_are_an_empty_picture() -> None:
    assert (chart_of().lines, chart_of().scale.grid) == ([], [])


def test_values_have_a_place_of_their_own_beside_the_columns() -> None:
    chart = column_chart([Column(parts=[(7, "a", "b")])], text_of=lambda _: "512.0 MB")
    context = {"chart": chart, "title": "Storage"}
    scale, _, plot = render_to_string("web/charts/columns.html", context).partition('role="img"')
    assert chart.scale.width > len("512.0 MB") * 6
    assert ("512.0 MB" in scale, "512.0 MB" in plot) == (True, False)


def test_a_picture_without_values_has_no_place_for_them() -> None:
    assert column_chart([], text_of=str).scale.width == 0


def test_a_mark_outside_of_the_window_is_left_out() -> None:
    chart = line_chart(
        [], begin=NOON, end=NOON + HOUR, gap=HOUR, text_of=str, marks=[(NOON - HOUR, "a", "b")]
    )
    assert chart.marks == []


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=4000)))
def test_times_are_few_and_in_order(length: timedelta) -> None:
    labels = charts.time_labels(NOON, NOON + length)
    assert len(labels) <= charts.MAX_TIME_LABELS + 1
    assert sorted(labels, key=lambda label: label.at) == labels


@given(st.lists(st.lists(ANY, max_size=6), max_size=40))
def test_columns_stay_inside_the_picture(values: list[list[float]]) -> None:
    columns = [Column(parts=[(value, "a", "b") for value in column]) for column in values]
    for bar in column_chart(columns, text_of=str).bars:
        assert 0 <= bar.x <= bar.x + bar.width <= 100.1
        assert bar.height >= 0
        assert -0.2 <= bar.y <= bar.y + bar.height <= charts.HEIGHT + 0.2


@given(st.integers(-100, 200), st.integers(-100, 200))
def test_a_span_is_visible_and_inside_the_picture(start: int, length: int) -> None:
    begin = NOON + start * HOUR
    span = charts.segment(
        begin,
        begin + length * HOUR,
        within=(NOON, NOON + 24 * HOUR),
        css_class="a",
        title="b",
    )
    assert 0 <= span.x <= span.x + span.width <= 100.01
    assert span.width > 0


def test_a_single_value_has_no_trend() -> None:
    assert charts.spark_line([(NOON, 1.0)], begin=NOON, end=NOON + HOUR) == ""


def test_hostile_text_is_escaped_in_a_picture() -> None:
    marks = [(NOON, "scale", HOSTILE)]
    chart = line_chart(
        [(NOON, 1.0)],
        begin=NOON,
        end=NOON + HOUR,
        gap=HOUR,
        text_of=lambda _: HOSTILE,
        marks=marks,
    )
    picture = render_to_string("web/charts/line.html", {"chart": chart, "title": HOSTILE})
    assert "<script" not in picture
    assert picture.count("&lt;script&gt;") >= 3


@pytest.mark.parametrize("name", ["line", "columns", "days", "timeline", "spark"])
def test_every_picture_has_a_role_and_a_title(name: str) -> None:
    context = {"chart": chart_of(1.0, 2.0), "title": "a result"}
    picture = render_to_string(f"web/charts/{name}.html", context)
    assert picture.count('role="img"><title>a result</title>') == 1
