"""One unit up, one down, or nothing: a pure function of the load that was measured."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.autoscale import COOLDOWN, Decision, Sample, ScalingStep, decide

LOAD = Path(__file__).parent / "load"
START = datetime(2026, 1, 1, tzinfo=UTC)


def load(*parts: tuple[float, int], cores: int = 1, every: int = 10) -> list[Sample]:
    """Samples of a process that used so many cores for so many seconds, part after part."""
    samples, used, second = [Sample(at=START, cpu_seconds=0, cores=cores)], 0.0, 0
    for in_use, seconds in parts:
        for _ in range(seconds // every):
            used, second = used + in_use * every, second + every
            at = START + timedelta(seconds=second)
            samples.append(Sample(at=at, cpu_seconds=used, cores=cores))
    return samples


def decision(
    samples: Sequence[Sample],
    *,
    units: int = 1,
    least: int = 1,
    most: int = 4,
    last_step: ScalingStep | None = None,
) -> Decision | None:
    return decide(
        samples,
        units=units,
        min_units=least,
        max_units=most,
        last_step=last_step,
        now=samples[-1].at,
    )


def units_after(samples: Sequence[Sample], **fields: object) -> int | None:
    answer = decision(samples, **fields)  # type: ignore[arg-type]
    return answer.units if answer else None


def stepped(seconds_ago: float, *, up: bool = True, used: float = 1.0) -> ScalingStep:
    samples_end = START + timedelta(seconds=600)
    return ScalingStep(
        at=samples_end - timedelta(seconds=seconds_ago),
        from_units=1 if up else 3,
        to_units=2,
        cores_used_before=used,
    )


def test_it_goes_up_after_a_minute_above_the_mark_and_says_why() -> None:
    answer = decision(load((0.9, 60)))
    assert answer is not None
    assert answer.units == 2
    assert answer.reason == (
        "Autoscaling to 2: 0.90 cores in use, 90% of the available ones, above 85% for 60 s."
    )


@pytest.mark.parametrize("parts", [[(0.9, 50)], [(0.84, 600)], [(0.1, 50), (0.95, 30)]])
def test_it_does_not_go_up_before(parts: list[tuple[float, int]]) -> None:
    assert units_after(load(*parts)) is None


def test_it_goes_down_after_five_minutes_below_the_mark() -> None:
    assert units_after(load((0.5, 300), cores=2), units=2) == 1
    assert units_after(load((0.5, 290), cores=2), units=2) is None
    assert units_after(load((0.7, 600), cores=2), units=2) is None


def test_it_stays_within_what_was_asked_for() -> None:
    assert units_after(load((4, 600), cores=4), units=4, most=4) is None
    assert units_after(load((0.0, 600), cores=3), units=3, least=3) is None


def test_it_takes_no_step_within_two_minutes_of_the_last() -> None:
    busy = load((2, 600), cores=2)
    assert units_after(busy, units=2, last_step=stepped(119)) is None
    assert units_after(busy, units=2, last_step=stepped(120)) == 3


def test_it_does_not_go_up_again_where_the_last_step_brought_no_more_use() -> None:
    busy = load((1.9, 600), cores=2)
    assert units_after(busy, units=2, last_step=stepped(300, used=1.85)) is None
    assert units_after(busy, units=2, last_step=stepped(300, used=1.0)) == 3


def test_a_step_that_was_taken_by_somebody_else_meanwhile_forbids_nothing() -> None:
    busy = load((2.9, 600), cores=3)
    assert units_after(busy, units=3, last_step=stepped(300, used=2.9)) == 4
    assert units_after(busy, units=3, last_step=stepped(300, up=False)) == 4


def test_a_gap_in_the_samples_is_no_load() -> None:
    busy = load((1, 600))
    assert units_after([busy[0], busy[-1]]) is None
    assert units_after([*busy[:40], *busy[-2:]]) is None


def test_one_missing_sample_does_no_harm() -> None:
    busy = load((1, 600))
    assert units_after([*busy[:-4], *busy[-3:]]) == 2


def test_a_restart_of_the_process_begins_the_window_anew() -> None:
    before, after = load((1, 600)), load((1, 50))
    shift = before[-1].at - START
    again = [Sample(at=s.at + shift, cpu_seconds=s.cpu_seconds, cores=1) for s in after]
    assert units_after([*before, *again[1:]]) is None


def test_another_number_of_cores_begins_the_window_anew() -> None:
    busy = load((1, 600))
    mixed = [*busy[:-3], *(Sample(at=s.at, cpu_seconds=s.cpu_seconds, cores=2) for s in busy[-3:])]
    assert units_after(mixed) is None


def test_two_samples_of_one_instant_do_no_harm() -> None:
    busy = load((1, 600))
    assert units_after([*busy, busy[-1]]) == 2
    assert units_after([busy[-1], busy[-1]]) is None


def test_nothing_is_known_without_samples() -> None:
    now = START
    assert decide([], units=2, min_units=1, max_units=4, last_step=None, now=now) is None


# -- a recorded load -------------------------------------------------------------------------------


def samples_in(name: str) -> list[Sample]:
    """`idle_busy_idle` is what `load/record.py` recorded on 2026-11-24 on a quiet machine of two
    cores: a cluster on one core that idles for a minute, is searched by four clients for three, and
    idles again. The other one is made by hand, with the jitter of a busy machine's sweeps and a
    time of half a load.
    """
    with (LOAD / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        Sample(
            at=START + timedelta(seconds=float(row["seconds"])),
            cpu_seconds=float(row["cpu_seconds"]),
            cores=1,
        )
        for row in rows
    ]


def replayed(samples: Sequence[Sample], least: int, most: int) -> list[tuple[int, int]]:
    """The steps that autoscaling takes, and when; each takes effect at once."""
    units, last, steps, since = least, None, [], 0
    for end in range(1, len(samples)):
        now, window = samples[end].at, samples[since : end + 1]
        said = decide(window, units=units, min_units=least, max_units=most, last_step=last, now=now)
        if said:
            last = ScalingStep(
                at=now, from_units=units, to_units=said.units, cores_used_before=said.cores_used
            )
            units, since = said.units, end
            steps.append((round((now - START).total_seconds()), units))
    return steps


LOADS = [("idle_busy_idle", 60), ("hand_made_with_half_a_load", 120)]


@pytest.mark.parametrize(("name", "busy_from"), LOADS)
def test_a_load_that_comes_and_goes_brings_one_step_up_and_one_down(
    name: str, busy_from: int
) -> None:
    steps = replayed(samples_in(name), least=1, most=4)
    assert [units for _, units in steps] == [2, 1]
    (up, _), (down, _) = steps
    assert busy_from + 60 <= up <= busy_from + 60 + 20
    assert down - up >= 300


@pytest.mark.parametrize(("name", "busy_from"), LOADS)
def test_it_never_goes_below_what_a_person_asked_for(name: str, busy_from: int) -> None:
    steps = replayed(samples_in(name), least=2, most=4)
    assert [units for _, units in steps] == [3, 2]


# -- whatever the load -----------------------------------------------------------------------------

parts = st.lists(
    st.tuples(st.floats(min_value=0, max_value=4), st.integers(min_value=10, max_value=400)),
    min_size=1,
    max_size=6,
)
bounds = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)).map(sorted)


@given(parts=parts, cores=st.integers(1, 4), bounds=bounds)
def test_it_never_leaves_the_bounds_and_takes_single_steps(
    parts: list[tuple[float, int]], cores: int, bounds: list[int]
) -> None:
    least, units, most = bounds
    said = decision(load(*parts, cores=cores), units=units, least=least, most=most)
    if said:
        assert least <= said.units <= most
        assert abs(said.units - units) == 1


@given(parts=parts, age=st.floats(min_value=0, max_value=COOLDOWN.total_seconds() - 1))
def test_it_never_takes_two_steps_at_once(parts: list[tuple[float, int]], age: float) -> None:
    samples = load(*parts)
    at = samples[-1].at - timedelta(seconds=age)
    last = ScalingStep(at=at, from_units=1, to_units=2, cores_used_before=0.1)
    assert decision(samples, units=2, last_step=last) is None
