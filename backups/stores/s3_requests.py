"""One request to an S3 store: repeat, time out, cancel, and translate its errors.

Requests are asynchronous, because only such a request can be cut while it is sent. The event loop
runs for a moment at a time: between two moments the caller's guard may use the database.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError

from backups.stores.base import (
    Guard,
    ObjectExists,
    ObjectMissing,
    StoreError,
    StoreFull,
    unguarded,
)

Answer = TypeVar("Answer")

REPEAT_SECONDS = 120.0
"""No repetition begins later than this after the first sending."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.2, 10.0
GUARD_INTERVAL_SECONDS = 1.0
STALL_SECONDS = 30.0
"""Time without an answer or a byte after which a request is cut."""
MIN_BYTES_PER_SECOND = 256 * 1024
"""Slower uploads are cut."""

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"(?:<Code>|\(code: )(\w{1,64})")
_TEXT = re.compile(r"<Message>([^<]{1,300})")
_LONG_WORD = re.compile(r"\S{16,}")
"""Text that may be a key or a token. A store must not bring it into our messages."""
_CAUSE = re.compile(r'(?:message: |Custom \{ kind: \w+, error: )"([^"]{1,200})"')
_INSTANCE = re.compile(r"/latest/(api/token|meta-data)|169\.254\.")
_FOREIGN_KEY = re.compile(r"invalid path: (.{1,300})", re.DOTALL)
_TRANSIENT = frozenset({408, 409, 429})
_TRANSIENT_CODES = frozenset({"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"})
"""Codes of single objects in an answer with status 200."""
_ALTERED = frozenset({"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})
"""Codes for bytes that changed on the way. A repetition sends them again."""
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})

_HINTS = {
    "NoSuchBucket": "Create the bucket, or correct the URL of the store.",
    "InvalidBucketName": "Correct the URL of the store.",
    "AccessDenied": "Grant the actions that docs/operations.md lists, or check the access key.",
    "InvalidAccessKeyId": "Check VBASE_S3_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "Check VBASE_S3_SECRET_ACCESS_KEY.",
    "ExpiredToken": "Renew VBASE_S3_SESSION_TOKEN.",
    "InvalidToken": "Check VBASE_S3_SESSION_TOKEN.",
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "PermanentRedirect": "Check VBASE_S3_REGION and VBASE_S3_ENDPOINT.",
    "AuthorizationHeaderMalformed": "Check VBASE_S3_REGION.",
    "InvalidStorageClass": "Check VBASE_S3_STORAGE_CLASS.",
    "NotImplemented": "The store lacks a function; see `manage.py check_store`.",
}
_INSTANCE_HINT = (
    "No credentials: set VBASE_S3_ACCESS_KEY_ID and VBASE_S3_SECRET_ACCESS_KEY, or run on an "
    "instance that has a role."
)


class TransferBroken(Exception):
    """An answer differs from its announced length, or stops."""


class Forked(StoreError):
    """The process was forked after its parent had sent requests, so that a request would hang."""

    permanent = True


class _Process:
    """The process whose runtime is in use. The runtime starts with the first request."""

    pid: int | None = None

    @classmethod
    def require_own(cls) -> None:
        if cls.pid is None:
            cls.pid = os.getpid()
        if cls.pid != os.getpid():
            raise Forked(
                f"Process {os.getpid()} was forked from process {cls.pid}, which had already used "
                "the S3 store. Restart the process that forks."
            )


def send(
    request: Callable[[], Awaitable[Answer]],
    *,
    action: str,
    guard: Guard = unguarded,
    size: int = 0,
    within: float | None = None,
) -> Answer:
    """Send a request until it succeeds, for at most REPEAT_SECONDS if its errors are transient.

    `action` begins the message of an error, such as "Could not write a/b to s3://bucket". `size` is
    the number of bytes that are transferred. `guard` is called before each sending and every second
    meanwhile; its exception cuts the request. With `within` the request is sent once, for at most
    as many seconds.
    """
    _Process.require_own()
    seconds = within or STALL_SECONDS + size / MIN_BYTES_PER_SECOND
    pauses = iter(()) if within else _pauses(until=time.monotonic() + REPEAT_SECONDS)
    while True:
        guard()
        try:
            return _wait_for(request, guard, seconds)
        except (BaseError, TransferBroken, OSError) as error:
            problem = translated(error, action)
            pause = None if problem.permanent else next(pauses, None)
            if pause is None:
                raise problem from error
        _sleep(pause, guard)


def _wait_for(request: Callable[[], Awaitable[Answer]], guard: Guard, seconds: float) -> Answer:
    async def answer() -> Answer:
        return await request()

    loop, until = asyncio.new_event_loop(), time.monotonic() + seconds
    task = loop.create_task(answer())
    try:
        while not task.done():
            loop.run_until_complete(asyncio.wait({task}, timeout=GUARD_INTERVAL_SECONDS))
            if not task.done():
                guard()
                if time.monotonic() > until:
                    raise TransferBroken(f"it was not answered within {seconds:.0f} s")
        return task.result()
    finally:
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.close()


def _pauses(*, until: float) -> Iterator[float]:
    """Yield growing pauses with jitter."""
    longest = FIRST_PAUSE_SECONDS
    while time.monotonic() < until:
        yield longest * random.uniform(0.5, 1.0)  # noqa: S311
        longest = min(2 * longest, MAX_PAUSE_SECONDS)


def _sleep(seconds: float, guard: Guard) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, GUARD_INTERVAL_SECONDS))
        guard()


async def stall_limited(awaitable: Awaitable[Answer]) -> Answer:
    """Await one step of an answer, for at most STALL_SECONDS."""
    try:
        return await asyncio.wait_for(awaitable, STALL_SECONDS)
    except TimeoutError as error:
        raise TransferBroken(f"no byte arrived for {STALL_SECONDS:.0f} s") from error


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that the store answered, or None if it did not answer."""
    status = _STATUS.search(str(error))
    return int(status.group(1)) if status else None


def translated(error: Exception, action: str) -> StoreError:
    """Build the error of the contract, with the store's code, its message and a hint."""
    text, status = str(error), status_of(error)
    code = _first(_CODE, text)
    if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
        return ObjectMissing(f"{action}: the object does not exist.")
    if isinstance(error, AlreadyExistsError):
        return ObjectExists(f"{action}: the object exists.")
    if code in _FULL or status == 507:
        return StoreFull(f"{action}: the storage is full.")
    if foreign := _FOREIGN_KEY.search(text):
        key = ascii(foreign.group(1).partition("\n\nDebug")[0])
        return _Permanent(f"{action}: a key there is not one of a console: {key}. Delete it.")
    reason = f"{action}: {_reason(error, text, code, status)}"
    return StoreError(reason) if _is_transient(code, status) else _Permanent(reason)


class _Permanent(StoreError):
    permanent = True


def _is_transient(code: str, status: int | None) -> bool:
    if status is None:
        return not code or code in _TRANSIENT_CODES
    return status >= 500 or status in _TRANSIENT or code in _ALTERED


def _reason(error: Exception, text: str, code: str, status: int | None) -> str:
    if isinstance(error, TransferBroken):
        return f"{error}."
    if status is None and not code:
        hint = f" {_INSTANCE_HINT}" if _INSTANCE.search(text) else ""
        return f"{_cause(text)}.{hint}"
    words = "".join(filter(str.isprintable, _LONG_WORD.sub("…", _first(_TEXT, text))))
    message = " ".join(part for part in (code, words) if part) or "no reason given"
    is_redirect = status is not None and 300 <= status < 400
    hint = _HINTS.get(code) or (_HINTS["PermanentRedirect"] if is_redirect else "")
    return f"the store answered {status or 200} ({message.rstrip('.')}). {hint}".rstrip()


def _cause(text: str) -> str:
    """Return the innermost cause of a transport error. The outer texts repeat the address."""
    causes = _CAUSE.findall(text)
    first_line = text.partition("\n")[0]
    return str(causes[-1]) if causes else first_line.rpartition(" - ")[2].rstrip(".")


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match.group(1) if match else ""
