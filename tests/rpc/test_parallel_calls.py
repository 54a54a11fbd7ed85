"""Many calls at once: one operation per idempotency key, and a fair share of the threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import grpc
import pytest

from clusters.models import Cluster
from tests.rpc.client import Caller
from vbase_console.api.models import IdempotentAnswer
from vbase_console.organizations.models import AuditEntry
from vbase_console.rpc import turns
from vbase_console.rpc.turns import THREADS, THREADS_PER_KEY, TooManyCalls, Turns
from vbase_console.tasks.models import Task

CALLS = 100


@pytest.mark.django_db(transaction=True)
def test_a_hundred_parallel_calls_with_one_key_make_one_cluster(caller: Caller) -> None:
    key = {"idempotency-key": "once"}
    sent = [caller.begin("CreateCluster", metadata=key, name="a") for _ in range(CALLS)]
    answered = [future for future in sent if future.code() == grpc.StatusCode.OK]
    assert {future.code() for future in sent} <= {grpc.StatusCode.OK, grpc.StatusCode.ABORTED}
    ids = {dict(future.initial_metadata())["operation-id"] for future in answered}
    assert ids == {Task.objects.get().task_id}
    assert len({future.result().cluster.cluster_id for future in answered}) == 1
    assert Cluster.objects.count() == IdempotentAnswer.objects.count() == 1
    assert AuditEntry.objects.filter(outcome="ACCEPTED").count() == 1


class Work:
    """Functions that run until they are released."""

    def __init__(self) -> None:
        self.running = 0
        self._lock, self._may_end = threading.Lock(), threading.Event()

    def __call__(self) -> None:
        with self._lock:
            self.running += 1
        self._may_end.wait(60)

    def end(self) -> None:
        self._may_end.set()


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.end()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def test_slow_calls_of_one_key_leave_threads_to_the_others(work: Work) -> None:
    async def scenario() -> str:
        own = Turns()
        slow = [asyncio.ensure_future(own.run("a", 0, work)) for _ in range(THREADS)]
        await until(lambda: work.running == THREADS_PER_KEY)
        answer = await own.run("b", 0, lambda: "answered")
        work.end()
        await asyncio.gather(*slow)
        own.close()
        return answer

    assert asyncio.run(scenario()) == "answered"
    assert work.running == THREADS


def test_a_cancelled_call_that_waits_is_not_executed(work: Work) -> None:
    async def scenario() -> None:
        own = Turns()
        slow = [asyncio.ensure_future(own.run("a", 0, work)) for _ in range(THREADS)]
        await until(lambda: work.running == THREADS_PER_KEY)
        for call in slow[THREADS_PER_KEY:]:
            call.cancel()
        work.end()
        await asyncio.gather(*slow, return_exceptions=True)
        own.close()

    asyncio.run(scenario())
    assert work.running == THREADS_PER_KEY


def test_a_cancelled_call_keeps_its_turn_until_its_thread_is_free(work: Work) -> None:
    async def scenario() -> None:
        own = Turns()
        for _ in range(THREADS):
            call = asyncio.ensure_future(own.run("a", 0, work))
            await asyncio.sleep(0)
            call.cancel()
        await until(lambda: work.running == THREADS_PER_KEY)
        assert await own.run("b", 0, lambda: True)
        assert work.running == THREADS_PER_KEY
        work.end()
        own.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, turns.MAX_BYTES])
def test_calls_above_the_limit_are_refused(
    work: Work, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_CALLS_PER_KEY", 1 if size == 0 else 10)

    async def scenario() -> None:
        own = Turns()
        first = asyncio.ensure_future(own.run("a", size, work))
        await until(lambda: work.running == 1)
        with pytest.raises(TooManyCalls):
            await own.run("a", 1, work)
        work.end()
        await first
        await until(lambda: not own._shares)
        own.close()

    asyncio.run(scenario())
