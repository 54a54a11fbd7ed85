"""Shares of the threads that answer calls."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from clusters.drivers.embedded.server.places import Crowded, Places


def fill(stack: ExitStack, places: Places, group: str, request_bytes: int = 0) -> int:
    """Enter calls of one group until one is refused. Returns their number."""
    entered = 0
    while True:
        try:
            stack.enter_context(places.one(group, request_bytes))
        except Crowded:
            return entered
        entered += 1


def test_one_crowd_gets_half_of_the_places() -> None:
    with ExitStack() as stack:
        assert fill(stack, Places(100), "a") == 50


def test_each_further_crowd_gets_half_of_the_rest() -> None:
    places = Places(100)
    with ExitStack() as stack:
        assert [fill(stack, places, group) for group in "abc"] == [50, 25, 13]


def test_five_crowds_leave_a_place_for_others() -> None:
    places = Places(100)
    with ExitStack() as stack:
        for crowd in range(5):
            fill(stack, places, f"crowd {crowd}")
        stack.enter_context(places.one("another", 0))


def test_places_are_free_again_after_their_calls() -> None:
    places = Places(100)
    for _ in range(2):
        with ExitStack() as stack:
            assert fill(stack, places, "a") == 50
    assert not places._taken


def test_each_further_crowd_gets_half_of_the_bytes_that_are_left() -> None:
    places = Places(100, request_bytes=1000)
    with ExitStack() as stack:
        crowds = [fill(stack, places, group, request_bytes=100) for group in "ab"]
        assert crowds == [5, 2]
        stack.enter_context(places.one("c", 150))


def test_two_collections_with_the_largest_requests_leave_bytes_to_others() -> None:
    places = Places(100, request_bytes=1000)
    with ExitStack() as stack:
        stack.enter_context(places.one("a", 500))
        with pytest.raises(Crowded):
            stack.enter_context(places.one("b", 500))
        stack.enter_context(places.one("c", 250))


def test_a_request_of_half_of_all_that_is_free_is_admitted() -> None:
    with Places(2, request_bytes=1000).one("a", 500):
        pass
    with pytest.raises(Crowded), Places(2, request_bytes=1000).one("a", 501):
        pass
