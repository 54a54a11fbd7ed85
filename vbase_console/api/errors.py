"""Every error of the API in one envelope, with the status that gRPC's codes have in HTTP.

`{"response": {"success": false, "code": …, "message": …}}`, and `fieldErrors` with
INVALID_ARGUMENT. A message says what to do; a traceback stays in the log.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from vbase_console.api.casing import camel
from vbase_console.core.errors import (
    ConsoleError,
    FieldErrors,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

logger = logging.getLogger(__name__)

STATUS_OF: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
UNEXPECTED = "The console met an error of its own. Try again; if it stays, tell your support when."
MAX_REPORTED_FIELDS = 50
"""How many fields one answer names; a hostile body can hold thousands."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorResponse:
    """An error as it goes out."""

    code: str
    message: str
    status: int
    field_errors: FieldErrors | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        response: dict[str, Any] = {"success": False, "code": self.code, "message": self.message}
        if self.field_errors is not None:
            response["fieldErrors"] = {key: list(texts) for key, texts in self.field_errors.items()}
        return {"response": response}


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Answer any exception of a view."""
    operation = getattr(context["view"], "operation", None)
    if isinstance(error, InvalidArgument) and operation is not None:
        error = with_wire_names(error, operation.body._declared_fields)
    refusal = refusal_of(error)
    if refusal.status >= 500:
        # What is foreseen needs no traceback: a part is away, and its owner knows the rest.
        unforeseen = error if refusal.code == "INTERNAL" else None
        logger.error("%s: %s", context["request"].path, error, exc_info=unforeseen)
    headers = dict(refusal.headers)
    if refusal.status == 405:
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    return Response(refusal.body(), status=refusal.status, headers=headers)


def refusal_of(error: Exception) -> ErrorResponse:
    if isinstance(error, exceptions.MethodNotAllowed):
        return ErrorResponse(code="UNIMPLEMENTED", message=str(error.detail), status=405)
    if isinstance(error, exceptions.UnsupportedMediaType):
        return ErrorResponse(
            code="INVALID_ARGUMENT", message=str(error.detail), status=415, field_errors={}
        )
    known = _as_console_error(error)
    if known is None:
        return ErrorResponse(code="INTERNAL", message=UNEXPECTED, status=500)
    return ErrorResponse(
        code=known.code,
        message=known.message,
        status=STATUS_OF[known.code],
        field_errors=known.field_errors if isinstance(known, InvalidArgument) else None,
        headers=dict(_headers(known)),
    )


def with_wire_names(error: InvalidArgument, body: Mapping[str, Any]) -> InvalidArgument:
    """Return the error of a service with the field names of the wire.

    `compute_units` becomes `resourceConfig.computeUnits` if the body of the operation has the field
    inside `resource_config`, and `computeUnits` otherwise.
    """
    nested = {
        inner: f"{outer}.{inner}"
        for outer, field in body.items()
        if isinstance(field, serializers.Serializer)
        for inner in field._declared_fields
        if inner not in body
    }
    names = {camel(nested.get(name, name)): texts for name, texts in error.field_errors.items()}
    is_summary = error.message == InvalidArgument(field_errors=error.field_errors).message
    return InvalidArgument("" if is_summary else error.message, field_errors=names)


def _headers(error: ConsoleError) -> Iterator[tuple[str, str]]:
    if isinstance(error, Unauthenticated):
        yield "WWW-Authenticate", 'Bearer realm="vbase"'
    if error.retry_after_seconds is not None:
        yield "Retry-After", str(error.retry_after_seconds)


def _as_console_error(error: Exception) -> ConsoleError | None:
    if isinstance(error, ConsoleError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return InvalidArgument(field_errors=dict(_first(_flat(error.detail))))
    if isinstance(error, exceptions.Throttled):
        return _throttled(error)
    for kinds, ours in _SAME_AS:
        if isinstance(error, kinds):
            return ours(_detail(error))
    return None


_SAME_AS: tuple[tuple[tuple[type[Exception], ...], type[ConsoleError]], ...] = (
    ((exceptions.ParseError,), InvalidArgument),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthenticated),
    ((exceptions.PermissionDenied, DjangoPermissionDenied), PermissionDenied),
    ((exceptions.NotFound, Http404), NotFound),
    ((OperationalError, InterfaceError), Unavailable),
)


def _detail(error: Exception) -> str:
    """What the framework says is for people; what the database says is for the log."""
    return str(error.detail) if isinstance(error, exceptions.APIException) else ""


def _throttled(error: exceptions.Throttled) -> ResourceExhausted:
    ours = ResourceExhausted(str(error.detail))
    ours.retry_after_seconds = max(1, int(getattr(error, "wait", None) or 1))
    return ours


def _flat(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """`{"a": {"b": ["no"]}}` as `a.b: ["no"]`, the way a person writes where something is."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from _flat(inner, ".".join(part for part in (path, str(key)) if part))
    elif isinstance(detail, list) and any(isinstance(inner, Mapping) for inner in detail):
        for number, inner in enumerate(detail):
            yield from _flat(inner, f"{path}[{number}]")
    elif detail:
        yield path, [str(text) for text in (detail if isinstance(detail, list) else [detail])]


def _first(errors: Iterator[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    for _, error in zip(range(MAX_REPORTED_FIELDS), errors, strict=False):
        yield error
