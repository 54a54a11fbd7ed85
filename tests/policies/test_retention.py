"""Properties of the one function that decides what may go."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.policies.retention import Candidate, RetentionDecision, decide

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OURS, FOREIGN = "pol-ours", "pol-foreign"
Verdicts = Mapping[str, RetentionDecision]


def backup(number: int, **facts: object) -> Candidate:
    known: dict[str, object] = {"policy_id": OURS, "rows": {"images": 100}} | facts
    created_at = BEGIN + timedelta(days=number)
    return Candidate(backup_id=f"bak-{number}", created_at=created_at, **known)  # type: ignore[arg-type]


def some_history(chance: random.Random) -> list[Candidate]:
    return [_some_backup(chance, number) for number in range(chance.randint(0, 12))]


def _some_backup(chance: random.Random, number: int) -> Candidate:
    at = BEGIN + timedelta(days=chance.randint(0, 40))
    rows = {name: chance.choice([0, 10, 60, 100]) for name in "ab" if chance.random() < 0.9}
    return backup(
        number,
        policy_id=OURS if chance.random() < 0.9 else FOREIGN,
        rows=rows,
        chosen=chance.choice([(), (), ("a",)]),
        is_available=chance.random() < 0.9,
        is_complete=chance.random() < 0.8,
        is_pinned=chance.random() < 0.1,
        retention_hold=chance.choice([None, None, None, True, False]),
        verified_at=at if chance.random() < 0.3 else None,
        proven_at=at if chance.random() < 0.15 else None,
    )


def check_all(history: list[Candidate], count: int) -> None:
    verdicts = decide(history, policy_id=OURS, count=count)
    kept = [each for each in history if verdicts[each.backup_id].keep]
    own = [each for each in history if each.policy_id == OURS and each.is_available]
    assert verdicts.keys() == {each.backup_id for each in history}
    keeps_the_count(own, kept, count)
    keeps_the_protected(history, own, kept)
    keeps_the_last_proven(own, kept)
    keeps_the_fuller(own, kept)
    says_why(verdicts)
    is_stable(history, kept, verdicts, count)


def keeps_the_count(own: list[Candidate], kept: list[Candidate], count: int) -> None:
    complete = [each for each in own if each.is_complete]
    newest = sorted(complete, key=lambda each: each.created_at)[-count:]
    assert all(each in kept for each in newest)


def keeps_the_protected(
    history: list[Candidate], own: list[Candidate], kept: list[Candidate]
) -> None:
    assert all(each in kept for each in history if each.is_pinned or each not in own)
    assert all(each in kept for each in own if each.retention_hold)


def keeps_the_last_proven(own: list[Candidate], kept: list[Candidate]) -> None:
    proven = [each for each in own if each.proven_at]
    verified = [each for each in own if each.verified_at]
    if proven:
        assert max(proven, key=lambda each: each.created_at) in kept
        assert max(each.proven_at for each in own if each in kept and each.proven_at) == max(
            each.proven_at for each in proven if each.proven_at
        )
    elif verified:
        assert max(verified, key=lambda each: each.created_at) in kept


def keeps_the_fuller(own: list[Candidate], kept: list[Candidate]) -> None:
    for chosen in ((), ("a",)):
        alike = [each for each in own if each.is_complete and each.chosen == chosen]
        for earlier, later in pairwise(alike):
            less = not earlier.rows.keys() <= later.rows.keys()
            less |= sum(later.rows.values()) * 2 < sum(earlier.rows.values())
            assert not less or earlier.retention_hold is False or earlier in kept


def says_why(verdicts: Verdicts) -> None:
    for verdict in verdicts.values():
        assert verdict.reason.startswith("kept: " if verdict.keep else "expired: ")


def is_stable(
    history: list[Candidate], kept: list[Candidate], verdicts: Verdicts, count: int
) -> None:
    """Once what may go has gone, and what is held was noted, nothing else may go."""
    noted = [
        dataclasses.replace(each, retention_hold=True)
        if verdicts[each.backup_id].sets_hold and each.retention_hold is None
        else each
        for each in kept
    ]
    again = decide(noted, policy_id=OURS, count=count)
    assert all(verdict.keep for verdict in again.values())


@given(seed=st.integers(), count=st.integers(1, 5))
def test_no_history_makes_it_bite(seed: int, count: int) -> None:
    check_all(some_history(random.Random(seed)), count)


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(10))
def test_a_million_histories_make_it_not_bite(part: int) -> None:
    chance = random.Random(part)
    for _ in range(100_000):
        check_all(some_history(chance), chance.randint(1, 5))


def reasons(*history: Candidate, count: int = 3) -> list[str]:
    verdicts = decide(history, policy_id=OURS, count=count)
    return [verdicts[each.backup_id].reason for each in history]


def test_it_gives_the_reasons_in_words() -> None:
    assert reasons(*(backup(number) for number in range(5))) == [
        "expired: 5th newest",
        "expired: 4th newest",
        "kept: newest 3",
        "kept: newest 3",
        "kept: newest 3",
    ]


def test_a_pinned_one_stays() -> None:
    assert reasons(backup(0, is_pinned=True), backup(1), count=1)[0] == "kept: pinned"


def test_the_last_proven_one_stays() -> None:
    found = reasons(backup(0, proven_at=BEGIN), backup(1, verified_at=BEGIN), backup(2), count=1)
    assert found == ["kept: last proven", "expired: 2nd newest", "kept: newest 1"]


def test_until_one_is_proven_the_newest_verified_stays() -> None:
    found = reasons(backup(0, verified_at=BEGIN), backup(1), count=1)
    assert found[0] == "kept: last verified, and none is proven"


def test_incomplete_ones_do_not_count_and_go_when_enough_newer_are_complete() -> None:
    found = reasons(backup(0), backup(1, is_complete=False), count=1)
    assert found[0] == "kept: newest 1"
    found = reasons(backup(0, is_complete=False), backup(1), backup(2), count=2)
    assert found[0] == "expired: not complete, and 2 newer ones are"


@pytest.mark.parametrize("rows", [{}, {"other": 500}, {"images": 49}])
def test_an_emptier_success_does_not_push_out_a_fuller_one(rows: dict[str, int]) -> None:
    assert "fuller" in reasons(backup(0), backup(1, rows=rows), count=1)[0]


def test_a_released_one_goes() -> None:
    found = reasons(backup(0, retention_hold=False), backup(1, rows={}), count=1)
    assert found[0] == "expired: 2nd newest"


def test_another_choice_of_collections_is_no_loss() -> None:
    found = reasons(backup(0), backup(1, rows={"a": 1}, chosen=("a",)), count=1)
    assert found[0] == "expired: 2nd newest"


def test_a_foreign_one_is_not_touched() -> None:
    found = reasons(backup(0, policy_id=FOREIGN), backup(1), backup(2), count=1)
    assert found[0] == "kept: not of this policy"
