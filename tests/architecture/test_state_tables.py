"""The tables of docs/states.md say what the data in the code says."""

from __future__ import annotations

import re

from django.conf import settings

from clusters.states import (
    STATUS_AT_REST,
    STATUS_WHILE,
    STEP_TRANSITIONS,
    Admission,
    Condition,
    ServiceStatus,
    TaskKind,
    admission,
)
from vbase_console.tasks.states import TRANSITIONS, TaskState

TEXT: str = (settings.BASE_DIR / "docs/states.md").read_text()
WORDS = {Admission.WAIT: "waits", Admission.ABORT: "aborted", Admission.OVERTAKE: "overtakes"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table whose first column has this heading, without its two top lines."""
    table = TEXT[TEXT.index(f"| {heading} |") :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[2:]]


def moves() -> set[tuple[str, str]]:
    return {(source, target) for source, nexts in TRANSITIONS.items() for target in nexts}


def test_every_move_of_a_task_has_a_line() -> None:
    assert {(row[0], row[1]) for row in rows("from")} == moves()


def test_the_diagram_draws_every_move() -> None:
    assert set(re.findall(r"^    ([A-Z]+) --> ([A-Z]+)$", TEXT, re.M)) == moves()


def test_the_ends_are_named() -> None:
    ends = [state for state in TaskState if not TRANSITIONS[state]]
    assert f"{ends[0]}, {ends[1]} and {ends[2]} are final." in TEXT


def test_every_kind_of_task_shows_as_a_status() -> None:
    told = {TaskKind(row[0]): ServiceStatus(row[1]) for row in rows("unfinished task")}
    assert told == STATUS_WHILE


def test_every_condition_shows_as_a_status() -> None:
    told = {
        Condition(row[0]): ServiceStatus(row[1])
        for row in rows("last observation, without unfinished tasks")
    }
    assert told == STATUS_AT_REST


def test_every_move_of_a_step_of_a_rollout_has_a_line() -> None:
    moves = {(source, target) for source, nexts in STEP_TRANSITIONS.items() for target in nexts}
    assert {(row[0], row[1]) for row in rows("step")} == moves


def test_what_waits_and_what_is_refused_is_told_for_every_pair() -> None:
    told = {row[0]: row[1:] for row in rows("requested")}
    asked_for = [kind for kind in TaskKind if kind is not TaskKind.DEPLOYMENT]
    assert told == {
        kind: [WORDS[admission(kind, unfinished)] for unfinished in TaskKind] for kind in asked_for
    }
