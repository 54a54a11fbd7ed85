"""A caller of the gRPC interface, over a channel or without one."""

from __future__ import annotations

import dataclasses
from typing import Any

import grpc

from vbase_console.rpc import watch
from vbase_console.rpc.methods import Method, unary_methods

METHODS = {method.name: (path, method) for path, method in unary_methods().items()}


def method_named(name: str) -> Method:
    return METHODS[name][1]


@dataclasses.dataclass
class Answered:
    """An accepted call."""

    message: Any
    metadata: dict[str, str]


class Caller:
    """Calls over a channel: `caller.call("GetCluster", cluster_id=…)`."""

    def __init__(self, channel: grpc.Channel, key: str | None) -> None:
        self.channel = channel
        self.metadata = (("authorization", f"Bearer {key}"),) if key else ()

    def call(self, rpc: str, *, metadata: dict[str, str] | None = None, **fields: Any) -> Any:
        return self.answered(rpc, metadata=metadata, **fields).message

    def answered(
        self, rpc: str, *, metadata: dict[str, str] | None = None, **fields: Any
    ) -> Answered:
        future = self.begin(rpc, metadata=metadata, **fields)
        return Answered(future.result(), dict(future.initial_metadata()))

    def begin(
        self,
        rpc: str,
        *,
        metadata: dict[str, str] | None = None,
        timeout: float = 60,
        **fields: Any,
    ) -> Any:
        """Send a call and do not wait."""
        path, method = METHODS[rpc]
        stub = self.channel.unary_unary(
            path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        sent = (*self.metadata, *(metadata or {}).items())
        return stub.future(
            method.request(**fields), metadata=sent, timeout=timeout, wait_for_ready=True
        )

    def watch(self, task_id: str, *, timeout: float = 120) -> Any:
        """The stream of a task's states."""
        stub = self.channel.unary_stream(
            watch.METHOD.path,
            request_serializer=watch.METHOD.request.SerializeToString,
            response_deserializer=watch.METHOD.answer.FromString,
        )
        request = watch.METHOD.request(task_id=task_id)
        return stub(request, metadata=self.metadata, timeout=timeout, wait_for_ready=True)
