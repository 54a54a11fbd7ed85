"""What can go wrong between the console and a Milvus, and whether trying again may help."""

from __future__ import annotations

from typing import Any

import grpc

_TRANSIENT_CALLS = frozenset(
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    ]
)
_TRANSIENT_CODES = frozenset([2, 3, 4, 8, 9])
"""Milvus' own: unavailable, out of memory, too many requests, rate and service limits."""
_NOT_FOUND_CODES = frozenset([100, 200, 700, 800, 1600])
"""Collection, partition, index, database, alias."""
_NOT_LOADED_CODES = frozenset([101])
_NOT_OFFERED_CODES = frozenset([10])
_LEGACY_NOT_FOUND = frozenset([4, 25, 28])
"""`error_code` of servers that do not send `code` yet."""

_ADVICE = {
    grpc.StatusCode.UNAVAILABLE: "It does not answer. Is the cluster running?",
    grpc.StatusCode.DEADLINE_EXCEEDED: "It did not answer in time; whether it did it is unknown.",
    grpc.StatusCode.UNAUTHENTICATED: "It refused the credential. Was the token rotated meanwhile?",
    grpc.StatusCode.PERMISSION_DENIED: "This credential may not do that.",
    grpc.StatusCode.UNIMPLEMENTED: "This server does not offer it.",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "The message is too large, or the server too busy.",
}


_FULL = ("no space left on device", "disk quota exceeded", "file too large")
"""Of systems and of Milvus itself."""
_NO_ROOM = (
    "The cluster's disk is full: delete or drop what nobody needs there, or give it a larger one, "
    "then ask again."
)


class MilvusError(Exception):
    """A call failed; the message says which, where, and what the server said.

    `permanent` errors stay however often one tries.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class MilvusNotFound(MilvusError):
    """The collection, partition, index, alias or database is not there."""


class NotLoaded(MilvusError):
    """The collection answers no query before it is loaded."""


class Refused(MilvusError):
    """The server has looked at what was asked, and cannot or will not do it."""


class NotOffered(MilvusError):
    """The server does not know this call."""


class TooLarge(MilvusError):
    """A request or an answer is above what one message may hold, or the server is too busy."""


class NoRoom(MilvusError):
    """Its disk, or what it may use of one, is full."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}. {_NO_ROOM}", permanent=True)


class Unsupported(MilvusError):
    """The collection has something that no backup can hold yet; the message names it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


def of_call(error: grpc.RpcError, where: str) -> MilvusError:
    """The error for a call that got no answer."""
    code = error.code()
    details = error.details()
    message = f"{where} failed ({code.name}): {_ADVICE.get(code, '')} {details}".replace("  ", " ")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NotOffered(message, permanent=True)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(message, permanent=False)
    return MilvusError(message, permanent=code not in _TRANSIENT_CALLS)


def of_status(status: Any, where: str) -> MilvusError | None:
    """The error for an answer that says it failed; None for success."""
    if not status.code and not status.error_code:
        return None
    message = f"{where} was refused: {status.reason or 'no reason given'}"
    if _is_not_found(status):
        return MilvusNotFound(message, permanent=True)
    if status.code in _NOT_LOADED_CODES:
        return NotLoaded(f"{message}. Load the collection first.", permanent=True)
    if status.code in _NOT_OFFERED_CODES:
        return NotOffered(message, permanent=True)
    if any(text in status.reason.lower() for text in _FULL):
        return NoRoom(message)
    if status.retriable or status.code in _TRANSIENT_CODES:
        return MilvusError(message, permanent=False)
    return Refused(message, permanent=True)


def _is_not_found(status: Any) -> bool:
    if status.code:
        return status.code in _NOT_FOUND_CODES
    return status.error_code in _LEGACY_NOT_FOUND
