"""Claim → job → end: the one way by which work is done, and the one Celery entry point for it."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator

from celery import shared_task
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from vbase_console.tasks import services
from vbase_console.tasks.attempts import Attempt, claim
from vbase_console.tasks.errors import JobCancelled, JobFailed, LeaseLost

logger = logging.getLogger(__name__)

UNKNOWN_ERROR_ATTEMPTS = 3


@shared_task(name="vbase.run_task")
def run_task(task_id: str) -> None:
    """Look at the row. A message that is late, doubled or for somebody else's turn finds nothing
    to claim.
    """
    attempt = claim(task_id, worker=worker_name())
    if attempt is None:
        return
    with heartbeat(attempt):
        ended = _carry_out(attempt)
    if ended:
        services.wake_next(attempt.task.lock)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _carry_out(attempt: Attempt) -> bool:
    """False where another attempt has taken over: this one leaves without a trace."""
    try:
        _work(attempt)
    except LeaseLost:
        logger.warning("%s: another attempt has taken over; this one leaves.", attempt.task.task_id)
        return False
    return True


def _work(attempt: Attempt) -> None:
    if attempt.is_undoing:
        _continue_undo(attempt)
    elif attempt.attempts_without_progress > settings.TASK_ATTEMPTS:
        _fail(attempt, _with_phase(attempt, f"Given up after {settings.TASK_ATTEMPTS} attempts."))
    else:
        _try(attempt)


def _try(attempt: Attempt) -> None:
    try:
        attempt.job.run(attempt)
    except JobCancelled:
        _cancel(attempt)
    except JobFailed as error:
        _failed(attempt, str(error), permanent=error.permanent)
    except LeaseLost:
        raise
    except (OperationalError, InterfaceError) as error:
        _without_database(attempt, error)
    except Exception as error:
        _unknown(attempt, error)
    else:
        attempt.succeed()


def _without_database(attempt: Attempt, error: Exception) -> None:
    """It was locked for too long, or restarted. If it is away for good, the lease ends and the
    next attempt goes on.
    """
    logger.warning("%s: the database did not answer: %s", attempt.task.task_id, error)
    connection.close_if_unusable_or_obsolete()
    _failed(attempt, "The console's database did not answer.", permanent=False)


def _unknown(attempt: Attempt, error: Exception) -> None:
    """Nobody foresaw this error, so nobody knows what it left behind: the next attempt looks at
    the world anew.
    """
    logger.exception("%s: unexpected error", attempt.task.task_id)
    text = (
        f"Unexpected {type(error).__name__}; support finds it in the log by {attempt.task.task_id}."
    )
    _failed(attempt, text, permanent=attempt.attempts_without_progress >= UNKNOWN_ERROR_ATTEMPTS)


def _failed(attempt: Attempt, message: str, *, permanent: bool) -> None:
    text = _with_phase(attempt, message)
    if permanent or attempt.attempts_without_progress >= settings.TASK_ATTEMPTS:
        _fail(attempt, text)
    else:
        attempt.retry_later(text)


def _fail(attempt: Attempt, message: str) -> None:
    """Undo and fail; from where there is no way back, go on trying to reach the end."""
    if attempt.job.is_past_return(attempt.task):
        attempt.retry_later(message)
    else:
        attempt.begin_undoing(message)
        _continue_undo(attempt)


def _cancel(attempt: Attempt) -> None:
    attempt.begin_undoing("")
    _continue_undo(attempt)


def _continue_undo(attempt: Attempt) -> None:
    """Whoever takes the task up from here on only undoes. Nothing that waits for the same lock
    begins before it is done, but for what heals the cluster.
    """
    message = attempt.undoing
    try:
        attempt.job.undo_run(attempt)
    except LeaseLost:
        raise
    except Exception as error:
        logger.warning("%s: not undone yet", attempt.task.task_id, exc_info=True)
        attempt.retry_later(f"{message} Cleaning up failed and is tried again: {error}".strip())
    else:
        attempt.fail(message) if message else attempt.cancel()


def _with_phase(attempt: Attempt, message: str) -> str:
    """An error says what was being done."""
    doing = attempt.task.phase
    return f"While {doing}: {message}" if doing else message


@contextlib.contextmanager
def heartbeat(attempt: Attempt) -> Iterator[None]:
    """Renew the lease at a third of its length, from a thread of its own, until the work ends."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(attempt, ended), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _beat(attempt: Attempt, ended: threading.Event) -> None:
    try:
        while not attempt.lost.is_set() and not ended.wait(settings.LEASE_SECONDS / 3):
            _renew(attempt)
    finally:
        connection.close()


def _renew(attempt: Attempt) -> None:
    try:
        attempt.renew()
    except DatabaseError as error:
        # The next beat tries again; if none gets through, the lease ends and `guard` says so.
        logger.warning("%s: the lease was not renewed: %s", attempt.task.task_id, error)
        connection.close()  # a connection that broke stays broken; the next beat opens another
