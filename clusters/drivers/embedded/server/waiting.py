"""Rules for threads that wait on behalf of a call: leave with the client, keep no permit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class CallerGone(Exception):
    """The client has cancelled the call or its deadline has passed."""


class Caller(Protocol):
    """The part of gRPC's server context that tells about the client."""

    def is_active(self) -> bool: ...

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call back when the call ends. Returns False if the call has ended already."""


class Permit(Protocol):
    """The right of one call to compute."""

    def give_back(self) -> None: ...

    def take_again(self) -> None: ...


class _Thread(threading.local):
    """The call that a thread answers. The engine's own locks have no parameter for it."""

    caller: Caller | None = None
    permit: Permit | None = None


_thread = _Thread()


@contextmanager
def on_behalf_of(caller: Caller) -> Iterator[None]:
    """Answer a call in this thread."""
    _thread.caller = caller
    try:
        yield
    finally:
        _thread.caller = None


def wait_for(changed: threading.Condition, is_granted: Callable[[], bool]) -> None:
    """Wait under `changed`, which is held. Raises CallerGone if this thread's client leaves."""
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
    """Compute with a permit that has been taken, and give it back."""
    _thread.permit = permit
    try:
        yield
    finally:
        _thread.permit = None
        permit.give_back()


@contextmanager
def without_permit() -> Iterator[None]:
    """Wait, or do long work, while other calls use the permit of this thread's call."""
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
