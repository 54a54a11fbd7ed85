"""WatchTask: the state at once, at every change and at the end; its rights and its bounds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import psutil
import pytest
from django.utils import timezone

from clusters.models import Cluster
from tests.api.client import Api
from tests.backups.seeds import seed_backup, seed_job
from tests.live import wait_for
from tests.rpc.client import Caller
from tests.rpc.conftest import Running
from tests.rpc.test_server import refused
from vbase_console.organizations.models import ApiKey
from vbase_console.organizations.scopes import GET_CLUSTER, LIST_BACKUPS
from vbase_console.rpc import watch
from vbase_console.rpc.methods import descriptors
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

pytestmark = pytest.mark.django_db(transaction=True)
Make = Callable[..., Cluster]
STATUS = descriptors()[watch.METHOD.path].output_type.fields_by_name["status"].enum_type


@pytest.fixture
def task(make_cluster: Make) -> Task:
    """A DEPLOYMENT that waits for a worker."""
    make_cluster(running=False)
    return Task.objects.get()


def status(state: Any) -> str:
    return str(STATUS.values_by_number[state.status].name)


def change(task: Task, **columns: Any) -> None:
    Task.objects.filter(pk=task.pk).update(updated_at=timezone.now(), **columns)


def finish(task: Task) -> None:
    change(task, state=TaskState.SUCCEEDED, progress=100, finished_at=timezone.now())


def test_the_current_state_is_sent_at_once(caller: Caller, task: Task) -> None:
    state = next(caller.watch(task.task_id))
    assert (state.task_id, status(state)) == (task.task_id, "PENDING")
    assert state.cluster_id == task.subject_id


def test_every_change_is_sent_and_the_end_ends_the_stream(caller: Caller, task: Task) -> None:
    states = caller.watch(task.task_id)
    seen = [status(next(states))]
    change(task, state=TaskState.RUNNING, progress=40)
    seen.append(f"{status(running := next(states))} {running.progress}")
    finish(task)
    assert [*seen, *map(status, states)] == ["PENDING", "RUNNING 40", "SUCCEEDED"]


def test_a_finished_task_is_sent_once(caller: Caller, task: Task) -> None:
    finish(task)
    assert [status(state) for state in caller.watch(task.task_id)] == ["SUCCEEDED"]


def test_nothing_is_sent_without_a_change(
    caller: Caller, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.01)
    polls: list[object] = []
    read = watch.read
    monkeypatch.setattr(watch, "read", lambda *ids: (polls.append(ids), read(*ids))[1])
    states = caller.watch(task.task_id)
    next(states)
    wait_for(lambda: len(polls) > 5)
    finish(task)
    assert [status(state) for state in states] == ["SUCCEEDED"]


def test_a_job_counts_as_a_task(caller: Caller, make_cluster: Make) -> None:
    cluster = make_cluster()
    job = seed_job(seed_backup(cluster, "nightly"))
    (state,) = caller.watch(job.task.task_id)
    assert (state.task_id, state.service_id) == (job.task.task_id, cluster.service_id)
    assert watch.METHOD.answer(task_type="BACKUP").task_type == state.task_type


def test_a_stranger_learns_nothing(
    caller_with: Callable[[str | None], Caller], stranger: Api, task: Task
) -> None:
    error = refused(lambda: next(caller_with(stranger.key).watch(task.task_id)))
    nothing = refused(lambda: next(caller_with(stranger.key).watch("task-none")))
    assert error.code() == nothing.code() == grpc.StatusCode.NOT_FOUND


def test_a_key_is_needed(caller_with: Callable[[str | None], Caller], task: Task) -> None:
    for key in (None, "wrong.key"):
        error = refused(lambda key=key: next(caller_with(key).watch(task.task_id)))  # type: ignore[misc]
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_task_needs_the_scope_of_clusters_and_a_job_that_of_backups(
    caller_with: Callable[[str | None], Caller],
    key_with: Callable[..., Api],
    make_cluster: Make,
) -> None:
    job = seed_job(seed_backup(make_cluster(), "nightly"))
    task = Task.objects.get(kind="DEPLOYMENT")
    for_tasks, for_jobs = (caller_with(key_with(s).key) for s in (GET_CLUSTER, LIST_BACKUPS))
    assert next(for_tasks.watch(task.task_id))
    assert next(for_jobs.watch(job.task.task_id))
    for caller, task_id in ((for_jobs, task.task_id), (for_tasks, job.task.task_id)):
        error = refused(lambda c=caller, t=task_id: next(c.watch(t)))  # type: ignore[misc]
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("loss", [{"revoked": True}, {"scopes": []}])
def test_a_key_that_loses_its_right_ends_its_streams(
    caller: Caller, task: Task, loss: dict[str, Any]
) -> None:
    states = caller.watch(task.task_id)
    next(states)
    ApiKey.objects.update(**loss)
    assert refused(lambda: next(states)).code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_stopping_server_ends_its_streams(server: Running, caller: Caller, task: Task) -> None:
    states = caller.watch(task.task_id)
    next(states)
    server.begin_to_stop()
    assert refused(lambda: next(states)).code() == grpc.StatusCode.UNAVAILABLE


def test_an_outage_of_the_database_ends_no_stream_unless_it_lasts(
    caller: Caller, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()
    read = watch.read

    def failing(*ids: Any) -> watch.Reading:
        if failed.is_set():
            return read(*ids)
        failed.set()
        raise RuntimeError("no answer")

    monkeypatch.setattr(watch, "read", failing)
    states = caller.watch(task.task_id)
    next(states)
    assert failed.wait(60)
    finish(task)
    assert [status(state) for state in states] == ["SUCCEEDED"]


def test_a_lasting_outage_ends_all_streams(
    caller: Caller, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OUTAGE_SECONDS", 0.0)
    monkeypatch.setattr(watch, "read", lambda *ids: 1 / 0)
    states = caller.watch(task.task_id)
    next(states)
    assert refused(lambda: next(states)).code() == grpc.StatusCode.UNAVAILABLE


def test_an_organization_has_a_limit_of_streams(
    caller: Caller, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MAX_STREAMS_PER_ORGANIZATION", 1)
    first = caller.watch(task.task_id)
    next(first)
    error = refused(lambda: next(caller.watch(task.task_id)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    first.cancel()
    wait_for(lambda: _opens(caller, task))


def _opens(caller: Caller, task: Task) -> bool:
    try:
        next(caller.watch(task.task_id))
    except grpc.RpcError:
        return False
    return True


STREAMS = 500
MAX_BYTES_PER_STREAM = 200 * 1024
"""Memory of server and client together, which share this process."""


class ManyStreams:
    """A client with one coroutine per stream."""

    def __init__(self, address: str, metadata: Any, task_ids: list[str]) -> None:
        self._address, self._metadata, self._task_ids = address, metadata, task_ids
        self.opened: list[str] = []
        self.ended: list[str] = []

    def run(self) -> None:
        asyncio.run(self._watch_all())

    async def _watch_all(self) -> None:
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = channel.unary_stream(
                watch.METHOD.path,
                request_serializer=watch.METHOD.request.SerializeToString,
                response_deserializer=watch.METHOD.answer.FromString,
            )
            await asyncio.gather(*(self._watch(stub, task_id) for task_id in self._task_ids))

    async def _watch(self, stub: Any, task_id: str) -> None:
        stream = stub(watch.METHOD.request(task_id=task_id), metadata=self._metadata, timeout=120)
        states = aiter(stream)
        await anext(states)
        self.opened.append(task_id)
        self.ended += [status(state) async for state in states]


def test_five_hundred_streams_share_one_poll_and_need_no_thread(
    server: Running, caller: Caller, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {field.name: getattr(task, field.name) for field in Task._meta.fields}
    del columns["id"]
    task_ids = [f"task-{number}" for number in range(STREAMS)]
    Task.objects.bulk_create(
        Task(**columns | {"task_id": task_id, "lock": ""}) for task_id in task_ids
    )
    polled: list[int] = []
    read = watch.read
    monkeypatch.setattr(
        watch, "read", lambda ids, keys: (polled.append(len(ids)), read(ids, keys))[1]
    )
    client = ManyStreams(server.address, caller.metadata, task_ids)
    thread = threading.Thread(target=client.run)
    process = psutil.Process()
    threads, memory = process.num_threads(), process.memory_info().rss
    thread.start()
    wait_for(lambda: len(client.opened) == STREAMS and polled[-1] == STREAMS)
    assert process.num_threads() - threads < 30
    assert process.memory_info().rss - memory < STREAMS * MAX_BYTES_PER_STREAM
    Task.objects.filter(task_id__in=task_ids).update(
        state=TaskState.SUCCEEDED, progress=100, finished_at=timezone.now()
    )
    thread.join(60)
    assert client.ended == ["SUCCEEDED"] * STREAMS
