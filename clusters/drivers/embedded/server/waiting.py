"""Waiting of threads for a call: a wait ends with the client and keeps no permit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class CallerGone(Exception):
    """The client has cancelled the call or its deadline has passed."""


class Caller(Protocol):
    """Part of gRPC's server context."""

    def is_active(self) -> bool: ...

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Register a callback for the end of the call. Returns False if the call has ended."""


class Permit(Protocol):
    """Permission of one call to compute."""

    def give_back(self) -> None: ...

    def take_again(self) -> None: ...


class _Thread(threading.local):
    """Call of a thread. Thread-local, because the engine's locks have no parameter for it."""

    caller: Caller | None = None
    permit: Permit | None = None


_thread = _Thread()


@contextmanager
def on_behalf_of(caller: Caller) -> Iterator[None]:
    """Answer the call of this caller in this thread."""
    _thread.caller = caller
    try:
        yield
    finally:
        _thread.caller = None


def wait_for(changed: threading.Condition, is_granted: Callable[[], bool]) -> None:
    """Wait on `changed`, whose lock is held. Raises CallerGone if the thread's client leaves."""
    caller = _thread.caller
    if caller is None or is_granted():
        changed.wait_for(is_granted)
        return

    def wake() -> None:
        with changed:
            changed.notify_all()

    if caller.add_callback(wake):
        changed.wait_for(lambda: is_granted() or not caller.is_active())
    if not is_granted():
        raise CallerGone


@contextmanager
def with_permit(permit: Permit) -> Iterator[None]:
    """Compute with a permit that has been taken, and return it."""
    _thread.permit = permit
    try:
        yield
    finally:
        _thread.permit = None
        permit.give_back()


@contextmanager
def without_permit() -> Iterator[None]:
    """Return the permit of this thread's call during a wait or long work, then take it again."""
    permit = _thread.permit
    if permit is None:
        yield
        return
    _thread.permit = None
    permit.give_back()
    try:
        yield
    finally:
        permit.take_again()
        _thread.permit = permit
