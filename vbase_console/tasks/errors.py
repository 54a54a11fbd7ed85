"""Exceptions that end an attempt early.

Any other exception has an unknown outcome: the next attempt reads the actual state first.
"""

from __future__ import annotations


class JobFailed(Exception):
    """Failure of the work. A permanent one ends the task; other ones are retried after a pause."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class JobPostponed(Exception):
    """The work waits for other tasks. The task releases its lock and is tried again after a pause,
    which does not count as a failed attempt if the job has saved a checkpoint.
    """


class JobCancelled(Exception):
    """Cancellation request, met at a safe point."""


class LeaseLost(Exception):
    """Loss of the lease. Another attempt may have begun, so this one must write nothing more."""
