"""WatchTask: the states of tasks and jobs as streams. One poll of the database serves all streams.

A stream is a coroutine. It keeps the newest state only, so that slow clients cost no memory, and it
occupies no thread.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import Executor
from typing import Any, cast

import grpc
from django.db import close_old_connections
from google.protobuf.message import Message
from google.rpc import status_pb2
from rest_framework.request import Request
from rest_framework.response import Response

from backups.models import BackupJob
from clusters.api.responses import ServiceTaskSerializer, TaskOfCluster
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.api.operations import Operation
from vbase_console.api.views import ApiView
from vbase_console.core.log_throttle import LogThrottle
from vbase_console.organizations.models import ApiKey
from vbase_console.organizations.scopes import GET_CLUSTER, LIST_BACKUPS
from vbase_console.rpc.calls import (
    AccessLog,
    Calls,
    Context,
    Result,
    abort,
    error_status,
    only_request,
)
from vbase_console.rpc.methods import PACKAGE, Method, descriptors
from vbase_console.rpc.transcoding import answer_message
from vbase_console.tasks.models import Task

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
OUTAGE_SECONDS = 10.0
"""Time without a successful poll after which all streams end."""
MAX_STREAMS = 4000
MAX_STREAMS_PER_ORGANIZATION = 1000
RETRY_SECONDS = 5
TOO_MANY = f"Your organization watches {MAX_STREAMS_PER_ORGANIZATION} tasks, which is the limit."
FULL = f"The server has {MAX_STREAMS} streams, which is its limit. Try again in a moment."
STOPPING = "The server is stopping. Watch the task again."
OUTAGE = "The database does not answer. Watch the task again in a moment."
KEY_ENDED = "The API key was revoked, has expired or has lost a scope. Send a valid key."
GONE = "The task does not exist any more."
COLUMNS = (
    *("state", "progress", "phase", "message"),
    *("created_at", "started_at", "updated_at", "finished_at"),
)
"""Columns of a task that its state shows."""


class WatchTask(ApiView):
    """Endpoint without a route: the checks of a stream, and its first state."""

    operations = {
        "GET": Operation(
            name="WatchTask",
            summary="Watch a task or a job",
            tag="Tasks",
            scope_rule="GetCluster for a task, ListBackups for a job",
            answer=ServiceTaskSerializer,
        )
    }
    cluster: Cluster
    needed_scope: str

    def get(self, request: Request, task_id: str) -> Response:
        """Read the current state of a task or a job."""
        task = Task.objects.all().get_visible(self.principal, task_id=task_id)
        is_job = task.kind not in TaskKind.values
        self.needed_scope = LIST_BACKUPS if is_job else GET_CLUSTER
        self.principal.require(self.needed_scope)
        if is_job:
            jobs = BackupJob.objects.select_related("cluster")
            self.cluster = jobs.get_visible(self.principal, "job", task=task).cluster
        else:
            self.cluster = Cluster.objects.get_visible(self.principal, cluster_id=task.subject_id)
        return Response(ServiceTaskSerializer.of(TaskOfCluster(cluster=self.cluster, task=task)))


METHOD = Method(
    descriptor=descriptors()[f"/{PACKAGE}.VBaseConsoleService/WatchTask"],
    http_method="GET",
    template="/{task_id}",
    has_body=False,
    endpoint=WatchTask,
)


class Stream:
    """One stream: the newest state that its client has not received, and its end."""

    def __init__(self, opened: Result) -> None:
        endpoint = cast(WatchTask, opened.endpoint)
        self.task_id: str = endpoint.kwargs["task_id"]
        self.cluster, self.scope = endpoint.cluster, endpoint.needed_scope
        self.organization_id = endpoint.principal.organization_id
        self.key_id = str(endpoint.principal.key_id)
        self.seen: tuple[Any, ...] = ()
        """The columns of the newest state."""
        self._newest = cast(Message, opened.message)
        self._is_ended = False
        self._error: status_pb2.Status | None = None
        self._changed = asyncio.Event()
        self._changed.set()

    def offer(self, state: Message) -> None:
        self._newest = state
        self._changed.set()

    def end(self) -> None:
        """End the stream after its newest state."""
        self._is_ended = True
        self._changed.set()

    def fail(self, code: str, message: str, retry_after: int | None = None) -> None:
        self._error = error_status(METHOD, code, message, retry_after)
        self._changed.set()

    async def states(self, context: Context) -> AsyncIterator[Message]:
        sent: Message | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._error is not None:
                await abort(context, self._error)
            newest, is_ended = self._newest, self._is_ended
            if newest != sent:
                yield newest
                sent = newest
            if is_ended:
                return


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """Result of one poll."""

    tasks: Mapping[str, Task]
    scopes: Mapping[str, Collection[str]]
    """Scopes of each key that is valid."""

    def deliver(self, streams: Collection[Stream]) -> None:
        """Give the streams the states that they have not seen."""
        states: dict[str, Message] = {}
        for stream in streams:
            task = self.tasks.get(stream.task_id)
            if stream.scope not in self.scopes.get(stream.key_id, ()):
                stream.fail("UNAUTHENTICATED", KEY_ENDED)
            elif task is None:
                stream.fail("NOT_FOUND", GONE)
            elif (columns := tuple(getattr(task, name) for name in COLUMNS)) != stream.seen:
                if task.task_id not in states:
                    states[task.task_id] = state_of(stream.cluster, task)
                stream.offer(states[task.task_id])
                stream.seen = columns
                if task.is_finished:
                    stream.end()


def read(task_ids: Collection[str], key_ids: Collection[str]) -> Reading:
    """Read the tasks and keys of all streams: two queries."""
    close_old_connections()
    try:
        tasks = Task.objects.filter(task_id__in=task_ids).only("task_id", "kind", *COLUMNS)
        keys = ApiKey.objects.filter(pk__in=key_ids, revoked=False)
        return Reading(
            tasks={task.task_id: task for task in tasks},
            scopes={key.pk: key.scopes for key in keys if not key.has_expired},
        )
    finally:
        close_old_connections()


def state_of(cluster: Cluster, task: Task) -> Message:
    body = ServiceTaskSerializer.of(TaskOfCluster(cluster=cluster, task=task))
    return answer_message(METHOD, body)


class Watches:
    """All streams of the server, and the poll that serves them."""

    def __init__(self, calls: Calls, poll_thread: Executor) -> None:
        self._calls, self._poll_thread = calls, poll_thread
        self._streams: set[Stream] = set()
        self._opening = 0
        self._is_stopping = False
        self._has_streams = asyncio.Event()

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.stream_stream_rpc_method_handler(
            self._watch,
            request_deserializer=METHOD.parse,
            response_serializer=METHOD.answer.SerializeToString,
        )

    async def _watch(
        self, requests: AsyncIterator[Message | None], context: Context
    ) -> AsyncIterator[Message]:
        log, result = AccessLog(METHOD, context), None
        stream: Stream | None = None
        try:
            result = await self._opened(await only_request(requests, context), context)
            if result.status is not None:
                await abort(context, result.status)
            stream = Stream(result)
            self._streams.add(stream)
            self._has_streams.set()
            async for state in stream.states(context):
                yield state
        finally:
            if stream is not None:
                self._streams.discard(stream)
            log.write(result)

    async def _opened(self, message: Message, context: Context) -> Result:
        if self._is_stopping:
            return _refused("UNAVAILABLE", STOPPING)
        if len(self._streams) + self._opening >= MAX_STREAMS:
            return _refused("RESOURCE_EXHAUSTED", FULL)
        self._opening += 1
        try:
            result = await self._calls.result(METHOD, message, context)
        finally:
            self._opening -= 1
        principal = result.principal
        if result.status is None and principal is not None:
            own = sum(s.organization_id == principal.organization_id for s in self._streams)
            if own >= MAX_STREAMS_PER_ORGANIZATION:
                return _refused("RESOURCE_EXHAUSTED", TOO_MANY)
        return result

    async def poll_forever(self) -> None:
        throttle, read_at = LogThrottle(minutes=1), time.monotonic()
        while True:
            if not self._streams:
                self._has_streams.clear()
                await self._has_streams.wait()
                read_at = time.monotonic()
            try:
                await self._poll()
                read_at = time.monotonic()
            except Exception as error:  # a stream without a poll would be silent for ever
                if throttle.should_log("poll", error):
                    logger.exception("WatchTask: states not read, will be retried")
                if time.monotonic() - read_at > OUTAGE_SECONDS:
                    self._fail_all(OUTAGE)
            await asyncio.sleep(POLL_SECONDS)

    async def _poll(self) -> None:
        # A stream that opens during the poll may have read a newer state: the next poll serves it.
        streams = list(self._streams)
        task_ids = {stream.task_id for stream in streams}
        key_ids = {stream.key_id for stream in streams}
        loop = asyncio.get_running_loop()
        reading = await loop.run_in_executor(self._poll_thread, read, task_ids, key_ids)
        reading.deliver(streams)

    def stop(self) -> None:
        self._is_stopping = True
        self._fail_all(STOPPING)

    def _fail_all(self, message: str) -> None:
        for stream in self._streams:
            stream.fail("UNAVAILABLE", message, RETRY_SECONDS)


def _refused(code: str, message: str) -> Result:
    return Result(status=error_status(METHOD, code, message, RETRY_SECONDS))
