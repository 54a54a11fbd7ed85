"""Envelope of every error of the API, and the HTTP status of each error code of gRPC.

`{"response": {"success": false, "code": …, "message": …}}`, and `fieldErrors` with
INVALID_ARGUMENT. A message contains the remedy and never a traceback.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from itertools import islice
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
UNEXPECTED = (
    "The console failed and logged the error. Try again. If it persists, contact support and state "
    "the time."
)
SEE_DOCS = "See /api/docs/."
MAX_REPORTED_FIELDS = 50
"""Limit of the fields in one answer, because a hostile body can contain thousands."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorResponse:
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
    """Answer any exception of a view (the `EXCEPTION_HANDLER` of DRF)."""
    operation = getattr(context["view"], "operation", None)
    if isinstance(error, InvalidArgument) and operation is not None:
        error = with_wire_names(error, operation.body._declared_fields)
    refusal = refusal_of(error)
    if refusal.status >= 500:
        # Only an unexpected error needs a traceback; the others mean that a part is not available.
        unexpected = error if refusal.code == "INTERNAL" else None
        logger.error("%s: %s", context["request"].path, error, exc_info=unexpected)
    headers = dict(refusal.headers)
    if refusal.status == 405:
        allowed = ", ".join(context["view"].allowed_methods)
        headers["Allow"] = allowed
        message = f"{context['request'].method} is not possible here, only {allowed}. {SEE_DOCS}"
        refusal = dataclasses.replace(refusal, message=message)
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
    headers = {}
    if isinstance(known, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="vbase"'
    if known.retry_after_seconds is not None:
        headers["Retry-After"] = str(known.retry_after_seconds)
    return ErrorResponse(
        code=known.code,
        message=known.message,
        status=STATUS_OF[known.code],
        field_errors=known.field_errors if isinstance(known, InvalidArgument) else None,
        headers=headers,
    )


def with_wire_names(error: InvalidArgument, body: Mapping[str, Any]) -> InvalidArgument:
    """Return the error of a service with the field names of the wire.

    `compute_units` becomes `resourceConfig.computeUnits` if the body of the operation has the field
    inside `resource_config`, and `computeUnits` otherwise.
    """
    nested = dict(_nested_names(body))
    names = {
        camel(name if name in body else nested.get(name, name)): texts
        for name, texts in error.field_errors.items()
    }
    is_summary = error.message == InvalidArgument(field_errors=error.field_errors).message
    return InvalidArgument("" if is_summary else error.message, field_errors=names)


def _nested_names(body: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Map the names of the fields inside other fields to their paths."""
    for outer, field in body.items():
        if isinstance(field, serializers.Serializer):
            inside = field._declared_fields
            yield from _nested_names(inside, f"{path}{outer}.")
            yield from ((inner, f"{path}{outer}.{inner}") for inner in inside)


def _as_console_error(error: Exception) -> ConsoleError | None:
    if isinstance(error, ConsoleError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return InvalidArgument(field_errors=dict(islice(_flat(error.detail), MAX_REPORTED_FIELDS)))
    if isinstance(error, exceptions.Throttled):
        throttled = ResourceExhausted(str(error.detail))
        throttled.retry_after_seconds = max(1, int(getattr(error, "wait", None) or 1))
        return throttled
    for kinds, ours in _SAME_AS:
        if isinstance(error, kinds):
            # An error of the database has no text for users.
            return ours(str(error.detail) if isinstance(error, exceptions.APIException) else "")
    return None


_SAME_AS: tuple[tuple[tuple[type[Exception], ...], type[ConsoleError]], ...] = (
    ((exceptions.ParseError,), InvalidArgument),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthenticated),
    ((exceptions.PermissionDenied, DjangoPermissionDenied), PermissionDenied),
    ((exceptions.NotFound, Http404), NotFound),
    ((OperationalError, InterfaceError), Unavailable),
)


def _flat(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Flatten nested errors: `{"a": {"b": ["no"]}}` becomes `a.b: ["no"]`."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from _flat(inner, ".".join(part for part in (path, str(key)) if part))
    elif isinstance(detail, list) and any(isinstance(inner, Mapping) for inner in detail):
        for number, inner in enumerate(detail):
            yield from _flat(inner, f"{path}[{number}]")
    elif detail:
        yield path, [str(text) for text in (detail if isinstance(detail, list) else [detail])]
