"""Order of writers: by arrival, and for all collections of a call at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures

import pytest

from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from clusters.drivers.embedded.server.waiting import CallerGone, on_behalf_of
from tests.drivers.clients import Client, FailingClient
from tests.drivers.launched import wait_for

A: Key = ("default", "a")
B: Key = ("default", "b")


class Calls:
    """Calls in threads of their own that claim locks and hold them until they are told to end."""

    def __init__(self, threads: futures.Executor) -> None:
        self.locks = CollectionLocks()
        self.began: list[str] = []
        self._threads = threads
        self._ends: dict[str, threading.Event] = {}
        self._running: dict[str, futures.Future[None]] = {}

    def begin(
        self, name: str, *keys: Key, is_build: bool = False, client: Client | None = None
    ) -> None:
        """Return once the call holds its locks or waits for them."""
        before = len(self.locks._waiting)
        self._ends[name] = threading.Event()
        self._running[name] = self._threads.submit(
            self._call, name, keys, is_build, client or Client()
        )
        wait_for(lambda: name in self.began or len(self.locks._waiting) > before)

    def _call(self, name: str, keys: tuple[Key, ...], is_build: bool, client: Client) -> None:
        with on_behalf_of(client), self.locks.held(lambda: keys, is_build=is_build):
            self.began.append(name)
            self._ends[name].wait(30)

    def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            self._running[name].result(30)

    def end_all(self) -> None:
        for end in self._ends.values():
            end.set()


@pytest.fixture
def calls() -> Iterator[Calls]:
    with futures.ThreadPoolExecutor(10) as threads:
        calls = Calls(threads)
        yield calls
        calls.end_all()


def test_a_wait_that_fails_leaves_the_collection_to_others(calls: Calls) -> None:
    calls.begin("holder", A)
    with (
        pytest.raises(ZeroDivisionError),
        on_behalf_of(FailingClient()),
        calls.locks.held(lambda: [A]),
    ):
        pass
    calls.begin("next", A)
    calls.end("holder", "next")
    assert calls.began == ["holder", "next"]


def test_two_calls_that_name_collections_in_two_orders_both_get_them(calls: Calls) -> None:
    calls.begin("holder", A)
    calls.begin("forwards", A, B)
    calls.begin("backwards", B, A)
    calls.end("holder", "forwards", "backwards")
    assert calls.began == ["holder", "forwards", "backwards"]


def test_a_call_that_names_a_collection_twice_gets_it_once(calls: Calls) -> None:
    calls.begin("twice", B, A, B)
    calls.begin("after", A)
    calls.end("twice", "after")
    assert calls.began == ["twice", "after"]


def test_writers_of_a_collection_are_served_in_the_order_of_their_arrival(calls: Calls) -> None:
    names = [f"writer {number}" for number in range(8)]
    for name in names:
        calls.begin(name, A)
    calls.end(*names)
    assert calls.began == names


def test_a_thread_may_take_a_lock_that_it_holds(calls: Calls) -> None:
    with calls.locks.held(lambda: [A]), calls.locks.held(lambda: [A]):
        calls.begin("other", A)
        assert calls.began == []
    calls.end("other")


def test_a_call_whose_client_has_left_does_not_begin(calls: Calls) -> None:
    client = Client()
    calls.begin("holder", A)
    calls.begin("left", A, client=client)
    client.leave()
    with pytest.raises(CallerGone):
        calls.end("left")
    calls.end("holder")
    assert calls.began == ["holder"]
    assert not calls.locks._held


def test_a_client_that_leaves_keeps_no_place_before_others(calls: Calls) -> None:
    client = Client()
    calls.begin("holder", A)
    calls.begin("of both", A, B, client=client)
    calls.begin("behind", B)
    assert calls.began == ["holder"]
    client.leave()
    wait_for(lambda: "behind" in calls.began)


def test_a_call_of_two_collections_keeps_its_place_before_later_writers(calls: Calls) -> None:
    """Otherwise a snapshot of busy collections would wait for ever."""
    calls.begin("writer", A)
    calls.begin("snapshot", A, B)
    calls.begin("later", B)
    assert calls.began == ["writer"]
    calls.end("writer", "snapshot", "later")
    assert calls.began == ["writer", "snapshot", "later"]


def test_writers_do_not_wait_for_the_build_of_another_collection(calls: Calls) -> None:
    calls.begin("build", B, is_build=True)
    calls.begin("snapshot", A, B)
    calls.begin("writer", A)
    assert calls.began == ["build", "writer"]


def test_a_call_that_waits_for_a_build_comes_before_the_next_build(calls: Calls) -> None:
    """Otherwise builds that follow one another would keep a snapshot waiting for ever."""
    calls.begin("build", B, is_build=True)
    calls.begin("snapshot", A, B)
    calls.begin("next build", A, is_build=True)
    assert calls.began == ["build"]
    calls.end("build", "snapshot", "next build")
    assert calls.began == ["build", "snapshot", "next build"]
