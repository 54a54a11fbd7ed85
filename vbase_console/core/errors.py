"""Errors raised by services. The API and the pages translate them into HTTP status codes.

The docstring of a class is the default message of the error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]


class ConsoleError(Exception):
    """The request was refused."""

    code = "INTERNAL"
    retry_after_seconds: int | None = None

    def __init__(self, message: str = "") -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        super().__init__(self.message)


class InvalidArgument(ConsoleError):
    """The request is invalid. Correct the named fields."""

    code = "INVALID_ARGUMENT"

    def __init__(self, message: str = "", *, field_errors: FieldErrors | None = None) -> None:
        self.field_errors: FieldErrors = field_errors or {}
        texts = (f"{field}: {' '.join(texts)}" for field, texts in self.field_errors.items())
        super().__init__(message or " ".join(texts))


class Unauthenticated(ConsoleError):
    """Send a valid API key as 'Authorization: Bearer <key>'."""

    code = "UNAUTHENTICATED"


class PermissionDenied(ConsoleError):
    """You may see this, but your role or key does not allow this action."""

    code = "PERMISSION_DENIED"


class NotFound(ConsoleError):
    """Your organization has no object with this id."""

    code = "NOT_FOUND"


class AlreadyExists(ConsoleError):
    """The name is taken. Choose another one."""

    code = "ALREADY_EXISTS"


class FailedPrecondition(ConsoleError):
    """The current state does not allow this action."""

    code = "FAILED_PRECONDITION"


class Aborted(ConsoleError):
    """Another operation is in progress. Try again after it has finished."""

    code = "ABORTED"

    def __init__(self, message: str = "", *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ResourceExhausted(ConsoleError):
    """Too many requests. Wait and try again."""

    code = "RESOURCE_EXHAUSTED"
    retry_after_seconds = 10


class Unimplemented(ConsoleError):
    """This console does not support the operation."""

    code = "UNIMPLEMENTED"


class Unavailable(ConsoleError):
    """A required component does not answer. Try again in a moment."""

    code = "UNAVAILABLE"
    retry_after_seconds = 5
