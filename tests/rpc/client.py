"""A caller of the gRPC interface, over a channel or without one."""

from __future__ import annotations

import dataclasses
from typing import Any

import grpc
from google.protobuf.message import Message

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
        path, method = METHODS[rpc]
        stub = self.channel.unary_unary(
            path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.answer.FromString,
        )
        request: Message = method.request(**fields)
        sent = (*self.metadata, *(metadata or {}).items())
        message, call = stub.with_call(request, metadata=sent, timeout=60, wait_for_ready=True)
        return Answered(message, dict(call.initial_metadata()))
