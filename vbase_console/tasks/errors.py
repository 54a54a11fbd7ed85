"""How a job ends early. Any other exception is one whose outcome is unknown: the next attempt
looks, then decides.
"""

from __future__ import annotations


class JobFailed(Exception):
    """The work failed. `permanent`: trying again would not help; otherwise it is tried again
    after a pause.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class JobCancelled(Exception):
    """The job met a request to stop at a safe point."""


class LeaseLost(Exception):
    """Another attempt may have begun: this one writes nothing more and leaves."""
