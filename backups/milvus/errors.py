"""Errors of calls to a Milvus, transient or permanent."""

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
"""Milvus codes: unavailable, out of memory, too many requests, rate and service limits."""
_NOT_FOUND_CODES = frozenset([100, 200, 700, 800, 1600])
"""Collection, partition, index, database, alias."""
_NOT_LOADED_CODES = frozenset([101])
_NOT_OFFERED_CODES = frozenset([10])
_LEGACY_NOT_FOUND = frozenset([4, 25, 28])
"""`error_code` of older servers, which do not send `code`."""

_ADVICE = {
    grpc.StatusCode.UNAVAILABLE: "Milvus does not answer. Check that the cluster is running.",
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        "Milvus did not answer in time. The result of the call is unknown."
    ),
    grpc.StatusCode.UNAUTHENTICATED: (
        "Milvus refused the credential. Retry if the token was rotated meanwhile."
    ),
    grpc.StatusCode.PERMISSION_DENIED: "The credential does not permit this call.",
    grpc.StatusCode.UNIMPLEMENTED: "This server does not support the call.",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "The message is too large or the server is overloaded.",
}


_FULL = ("no space left on device", "disk quota exceeded", "file too large")
"""Messages of operating systems and of Milvus."""
_DISK_FULL = (
    "The cluster's disk is full. Delete unused entities or collections, or enlarge the disk, then "
    "retry."
)


class MilvusError(Exception):
    """A call failed. The message names the call, the address and the server's reason.

    A retry does not help if `permanent` is true.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class MilvusNotFound(MilvusError):
    """The collection, partition, index, alias or database does not exist."""


class NotLoaded(MilvusError):
    """The collection must be loaded before a query."""


class Refused(MilvusError):
    """The server understood the request and refused it."""


class NotOffered(MilvusError):
    """The server does not support this call."""


class NotPermitted(MilvusError):
    """The credential does not have the privilege for this call."""


class TooLarge(MilvusError):
    """A request or an answer exceeds the message size, or the server is overloaded."""


class TimedOut(MilvusError):
    """The server did not answer in time. It may still execute the call."""


class DiskFull(MilvusError):
    """The disk or the disk quota of the cluster is full."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}. {_DISK_FULL}", permanent=True)


class UnsupportedFeature(MilvusError):
    """A collection uses a feature that backups do not support. The message names it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


def error_of_call(code: grpc.StatusCode, details: str, where: str) -> MilvusError:
    message = f"{where} failed ({code.name}): {_ADVICE.get(code, '')} {details}".replace("  ", " ")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return NotOffered(message, permanent=True)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return NotPermitted(message, permanent=True)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(message, permanent=False)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimedOut(message, permanent=False)
    return MilvusError(message, permanent=code not in _TRANSIENT_CALLS)


def error_of_status(status: Any, where: str) -> MilvusError | None:
    """Translate the status of an answer. Returns None for success."""
    if not status.code and not status.error_code:
        return None
    message = f"{where} was refused: {status.reason or 'no reason given'}"
    is_not_found = (
        status.code in _NOT_FOUND_CODES if status.code else status.error_code in _LEGACY_NOT_FOUND
    )
    if is_not_found:
        return MilvusNotFound(message, permanent=True)
    if status.code in _NOT_LOADED_CODES:
        return NotLoaded(f"{message}. Load the collection first.", permanent=True)
    if status.code in _NOT_OFFERED_CODES:
        return NotOffered(message, permanent=True)
    if any(text in status.reason.lower() for text in _FULL):
        return DiskFull(message)
    if status.retriable or status.code in _TRANSIENT_CODES:
        return MilvusError(message, permanent=False)
    return Refused(message, permanent=True)
