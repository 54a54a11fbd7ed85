"""Free ids, as values."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from clusters.drivers.embedded.server.auto_ids import LARGEST_ID, FreeIds, largest_free_ids

EDGES = st.sampled_from([1, 2, 2**62, 2**62 + 1, LARGEST_ID - 1, LARGEST_ID])
KEYS = st.lists(st.one_of(EDGES, st.integers(-(2**63), LARGEST_ID), st.integers(-20, 20)))


@given(KEYS)
def test_the_largest_free_range_holds_no_key_and_is_the_largest(keys: list[int]) -> None:
    free = largest_free_ids(keys)
    positive = sorted({0, *(key for key in keys if key > 0), LARGEST_ID + 1})
    gaps = [high - low - 1 for low, high in itertools.pairwise(positive)]
    assert free.last - free.first + 1 == max(gaps)
    assert 1 <= free.first <= free.last <= LARGEST_ID
    assert not [key for key in keys if free.first <= key <= free.last]


@given(st.integers(1, 50), KEYS)
def test_ids_stand_above_every_key_while_there_is_room(first: int, keys: list[int]) -> None:
    free = FreeIds(first).without(keys)
    assert free.first == max([first, *(key + 1 for key in keys)])
    assert free.has(1) == (LARGEST_ID not in keys)


@given(st.integers(1, LARGEST_ID - 1), st.integers(1, LARGEST_ID - 1), KEYS)
def test_a_range_below_the_largest_key_gives_way_to_keys(
    one: int, two: int, keys: list[int]
) -> None:
    whole = FreeIds(min(one, two), max(one, two))
    left = whole.without(keys)
    assert not [key for key in keys if left.first <= key <= left.last]
    assert left.last < left.first or whole.first <= left.first <= left.last <= whole.last


@given(st.lists(st.one_of(KEYS, st.integers(1, 9)), max_size=30))
def test_no_history_of_given_and_generated_keys_gives_one_twice(
    history: list[list[int] | int],
) -> None:
    known: set[int] = set()
    free = FreeIds(1)
    for step in history:
        if isinstance(step, list):
            free = free.without(step)
            known.update(step)
            continue
        if not free.has(step):
            free = largest_free_ids(known)
        generated = set(range(free.first, free.first + step))
        assert not generated & known
        assert max(generated) <= LARGEST_ID
        known |= generated
        free = FreeIds(free.first + step, free.last)
