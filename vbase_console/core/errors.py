"""The one tree of errors that services raise. Domain code knows no status codes: the API's handler
and the pages' middleware translate, each in one place.

An error's docstring is its message where none is given; a message says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]


class ConsoleError(Exception):
    """Something was refused. Raise a leaf, never this."""

    code = "INTERNAL"
    retry_after_seconds: int | None = None

    def __init__(self, message: str = "") -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.message)


class InvalidArgument(ConsoleError):
    """The request cannot be understood; the named fields say why."""

    code = "INVALID_ARGUMENT"

    def __init__(self, message: str = "", *, field_errors: FieldErrors | None = None) -> None:
        super().__init__(message or _summary(field_errors or {}))
        self.field_errors: FieldErrors = field_errors or {}


class Unauthenticated(ConsoleError):
    """Send a valid API key as 'Authorization: Bearer <key>'."""

    code = "UNAUTHENTICATED"


class PermissionDenied(ConsoleError):
    """You may see this, but your role or key does not allow this action."""

    code = "PERMISSION_DENIED"


class NotFound(ConsoleError):
    """There is nothing with this id in your organization."""

    code = "NOT_FOUND"


class AlreadyExists(ConsoleError):
    """The name is taken; choose another one."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(ConsoleError):
    """This cannot be done in the present state."""

    code = "FAILED_PRECONDITION"


class Aborted(ConsoleError):
    """Something else is in the way; try again when it has ended."""

    code = "ABORTED"

    def __init__(self, message: str = "", *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ResourceExhausted(ConsoleError):
    """Too many requests; wait and try again."""

    code = "RESOURCE_EXHAUSTED"
    retry_after_seconds = 10


class Unimplemented(ConsoleError):
    """This console cannot do that."""

    code = "UNIMPLEMENTED"


class Unavailable(ConsoleError):
    """A part that is needed for this does not answer; try again in a moment."""

    code = "UNAVAILABLE"
    retry_after_seconds = 5


def _summary(field_errors: FieldErrors) -> str:
    return " ".join(f"{field}: {' '.join(texts)}" for field, texts in field_errors.items())
