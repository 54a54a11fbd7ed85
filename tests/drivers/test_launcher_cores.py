"""Compute units are cores, and change while the server runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent import futures

import pytest

from clusters.drivers.embedded.server.cores import CallPermits
from clusters.drivers.embedded.server.waiting import CallerGone, on_behalf_of, without_permit
from tests.drivers.clients import Client, FailingClient
from tests.drivers.launched import Launched, make_collection, rows, threads_cores, wait_for

MACHINE = len(os.sched_getaffinity(0))


def test_it_starts_on_the_cores_that_it_is_given(server: Launched) -> None:
    assert server.health()["cores"] == 1
    assert threads_cores(server.pid) == {1}


def test_every_thread_moves_at_once(launch: Callable[..., Launched]) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "c")
    client.insert("c", rows(*range(100)))
    assert launched.control("SetCores", cores=2)["cores"] == min(2, MACHINE)
    assert threads_cores(launched.pid) == {min(2, MACHINE)}
    launched.control("SetCores", cores=1)
    assert threads_cores(launched.pid) == {1}


def test_it_never_has_more_than_the_machine(launch: Callable[..., Launched]) -> None:
    launched = launch("--cores", "64")
    assert launched.health()["cores"] == MACHINE == launched.health()["most_cores"]


def test_permits_are_as_many_as_said() -> None:
    permits, working, release = CallPermits(2), threading.Semaphore(0), threading.Event()

    def work() -> None:
        with permits.one():
            working.release()
            release.wait(30)

    with futures.ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(work)
        assert [working.acquire(timeout=10) for _ in range(2)] == [True, True]
        assert not working.acquire(timeout=0.2)
        permits.resize(3)
        assert working.acquire(timeout=10)
        release.set()


def test_permits_are_handed_to_groups_in_turn() -> None:
    """A call of another collection passes all but one of a crowd."""
    permits, began = CallPermits(1), []

    def work(group: str) -> None:
        with permits.one(group):
            began.append(group)

    with futures.ThreadPoolExecutor(5) as threads, permits.one("first"):
        for number, group in enumerate(["crowd", "crowd", "crowd", "other"], start=1):
            threads.submit(work, group)
            wait_for(lambda: waiting_for(permits) == number)  # noqa: B023
    assert began == ["crowd", "other", "crowd", "crowd"]


def test_a_call_whose_client_has_left_takes_no_permit() -> None:
    permits, client = CallPermits(1), Client()

    def work() -> None:
        with on_behalf_of(client), permits.one():
            raise AssertionError("it began")

    with futures.ThreadPoolExecutor(1) as threads, permits.one():
        left = threads.submit(work)
        wait_for(lambda: waiting_for(permits) == 1)
        client.leave()
        with pytest.raises(CallerGone):
            left.result(30)
    assert waiting_for(permits) == 0


def test_a_wait_that_fails_leaves_the_permit_to_others() -> None:
    permits = CallPermits(1)
    with (
        permits.one(),
        pytest.raises(ZeroDivisionError),
        on_behalf_of(FailingClient()),
        permits.one(),
    ):
        pass
    with permits.one():
        assert permits._taken == 1


def test_a_thread_that_waits_lends_its_permit_and_takes_it_again() -> None:
    permits = CallPermits(1)
    with permits.one():
        with without_permit(), permits.one():
            pass
        assert permits._taken == 1


def waiting_for(permits: CallPermits) -> int:
    return sum(len(claims) for claims in permits._waiting.values())


def test_waiting_for_a_collection_takes_no_permit(server: Launched, collection: str) -> None:
    """One core, one slow writer, many waiting ones: another collection's reader still gets in."""
    client = server.client()
    for name in (collection, f"{collection}_other"):
        make_collection(client, name)
    writers = [server.client() for _ in range(6)]
    with futures.ThreadPoolExecutor(6) as threads:
        written = [threads.submit(each.insert, collection, rows(*range(2_000))) for each in writers]
        wait_for(lambda: client.query(f"{collection}_other", filter="id >= 0") == [], 60)
        futures.wait(written)
