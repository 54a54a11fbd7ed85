"""Celery entry point that runs one attempt: claim, job, end."""

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
from vbase_console.tasks.errors import JobCancelled, JobFailed, JobPostponed, LeaseLost

logger = logging.getLogger(__name__)

UNKNOWN_ERROR_ATTEMPTS = 3
STALL_GRACE_SECONDS = 3600.0
"""Time for a call to reach its own deadline, so that the job can end in order."""


@shared_task(name="vbase.run_task")
def run_task(task_id: str) -> None:
    """Run an attempt at the task, if the task can be claimed.

    A message may be late, repeated or too early: the row decides.
    """
    attempt = claim(task_id, worker=worker_name())
    if attempt is None:
        services.put_back(task_id)
        return
    with heartbeat(attempt):
        try:
            if attempt.is_undoing:
                _continue_undo(attempt)
            elif attempt.attempts_without_progress > settings.TASK_ATTEMPTS:
                text = f"Given up after {settings.TASK_ATTEMPTS} attempts."
                _fail(attempt, _with_phase(attempt, text))
            else:
                _run_job(attempt)
        except LeaseLost:
            logger.warning("%s: lease lost, another attempt has taken over", task_id)
            return
    services.wake_following(attempt.task)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _run_job(attempt: Attempt) -> None:
    task_id = attempt.task.task_id
    try:
        attempt.job.run(attempt)
    except JobCancelled:
        attempt.begin_undoing("")
        _continue_undo(attempt)
    except JobPostponed as error:
        attempt.retry_later(str(error))
    except JobFailed as error:
        _retry_or_fail(attempt, str(error), permanent=error.permanent)
    except LeaseLost:
        raise
    except (OperationalError, InterfaceError) as error:
        # The database was locked or restarted. If it stays away, the lease expires.
        logger.warning("%s: database not available, will be retried: %s", task_id, error)
        connection.close_if_unusable_or_obsolete()
        _retry_or_fail(attempt, "The console's database did not answer.", permanent=False)
    except Exception as error:
        # The outcome is unknown, so the next attempt reads the actual state first.
        logger.exception("%s: unexpected error", task_id)
        text = (
            f"Unexpected {type(error).__name__}. The error was logged. If it persists, contact "
            f"support and name {task_id}."
        )
        is_last = attempt.attempts_without_progress >= UNKNOWN_ERROR_ATTEMPTS
        _retry_or_fail(attempt, text, permanent=is_last)
    else:
        attempt.succeed()


def _retry_or_fail(attempt: Attempt, message: str, *, permanent: bool) -> None:
    text = _with_phase(attempt, message)
    if permanent or attempt.attempts_without_progress >= settings.TASK_ATTEMPTS:
        _fail(attempt, text)
    else:
        attempt.retry_later(text)


def _fail(attempt: Attempt, message: str) -> None:
    """Undo and fail. A task past its point of no return is retried until it succeeds."""
    if attempt.job.is_past_return(attempt.task):
        attempt.retry_later(message)
    else:
        attempt.begin_undoing(message)
        _continue_undo(attempt)


def _continue_undo(attempt: Attempt) -> None:
    """Undo and end the task. Once undo has begun, every later attempt only continues the undo.

    Tasks that wait for the same lock start after the undo, except tasks that heal the cluster.
    """
    message = attempt.undoing
    try:
        attempt.job.undo_run(attempt)
    except LeaseLost:
        raise
    except Exception as error:
        logger.warning("%s: undo failed, will be retried", attempt.task.task_id, exc_info=True)
        attempt.retry_later(f"{message} The undo failed and will be retried: {error}".strip())
    else:
        attempt.fail(message) if message else attempt.cancel()


def _with_phase(attempt: Attempt, message: str) -> str:
    phase = attempt.task.phase
    return f"While {phase}: {message}" if phase else message


def end_process(task_id: str) -> None:
    """End this pool process, because its thread cannot be interrupted while it waits.

    The worker starts another process, and the task is taken over like that of a killed worker.
    """
    logger.error("%s: no progress for too long, the process ends", task_id)
    logging.shutdown()
    os._exit(os.EX_UNAVAILABLE)


@contextlib.contextmanager
def heartbeat(attempt: Attempt) -> Iterator[None]:
    """Renew the lease in a thread, at a third of its length, until the work ends.

    The thread ends the process if a job neither advances nor notices that itself.
    """
    ended = threading.Event()
    thread = threading.Thread(
        target=renew_until, args=(attempt, ended), name="heartbeat", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def renew_until(attempt: Attempt, ended: threading.Event) -> None:
    task_id = attempt.task.task_id
    try:
        while not attempt.lost.is_set() and not ended.wait(settings.LEASE_SECONDS / 3):
            if attempt.seconds_without_advance > settings.TASK_STALL_SECONDS + STALL_GRACE_SECONDS:
                end_process(task_id)
            try:
                attempt.renew()
            except DatabaseError as error:
                # If no later renewal succeeds, the lease expires and `guard` raises LeaseLost.
                logger.warning("%s: lease not renewed, will be retried: %s", task_id, error)
                connection.close()  # the next renewal opens a new connection
    finally:
        connection.close()
