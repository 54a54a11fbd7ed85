"""The background work of collections: in order, and without a thread where there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil
import pytest

from clusters.drivers.embedded.server.background import SerialExecutor
from tests.drivers.launched import Launched, ids, make_collection, rows, wait_for

PREFIX = "of-this-test"


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == PREFIX]


@pytest.fixture
def executor() -> SerialExecutor:
    return SerialExecutor(max_workers=1, thread_name_prefix=PREFIX)


def test_work_is_done_one_after_another_in_order(executor: SerialExecutor) -> None:
    done: list[int] = []
    for number in range(500):
        executor.submit(lambda number=number: done.append(number))
    executor.submit(lambda: None).result(30)
    assert done == list(range(500))


def test_its_thread_ends_with_the_work(executor: SerialExecutor) -> None:
    executor.submit(lambda: None).result(30)
    wait_for(lambda: not alive())
    assert executor.submit(lambda: 7).result(30) == 7


def test_an_error_reaches_the_one_who_waits_and_ends_nothing(executor: SerialExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        executor.submit(lambda: 1 // 0).result(30)
    assert executor.submit(lambda: 7).result(30) == 7


def test_closing_waits_for_what_was_asked_for_and_takes_no_more(executor: SerialExecutor) -> None:
    gate, done = threading.Event(), []
    executor.submit(lambda: gate.wait(30))
    executor.submit(lambda: done.append("after"))
    threading.Timer(0.1, gate.set).start()
    executor.shutdown(wait=True)
    assert done == ["after"]
    with pytest.raises(RuntimeError):
        executor.submit(lambda: None)


def test_where_no_thread_can_be_had_the_work_is_done_all_the_same(
    executor: SerialExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert executor.submit(lambda: 7).result(30) == 7


def test_forty_open_collections_keep_no_thread_each(launch: Callable[..., Launched]) -> None:
    launched = launch()
    alone = threads_of(launched.restart())
    client = launched.client()
    for number in range(40):
        make_collection(client, f"c{number}")
        client.insert(f"c{number}", rows(number))
        client.flush(f"c{number}")
    launched.restart()
    wait_for(lambda: threads_of(launched) < alone + 10)
    assert ids(launched.client(), "c39") == {39}


def threads_of(launched: Launched) -> int:
    return psutil.Process(launched.pid).num_threads()
