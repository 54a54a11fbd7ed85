"""Responses to errors outside the views, such as a wrong host or a failing middleware.

The response is the API's error envelope below /v1/, and a page elsewhere.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse

from vbase_console.api.errors import SEE_DOCS, UNEXPECTED, ErrorResponse
from vbase_console.core.errors import Unavailable
from vbase_console.core.outages import database_is_lost
from vbase_console.web import errors as pages

logger = logging.getLogger(__name__)

PREFIX = "/v1/"
Handler = Callable[..., HttpResponse]


def _below_v1(otherwise: Handler, *, code: str, status: int, message: str) -> Handler:
    field_errors: dict[str, list[str]] | None = {} if code == "INVALID_ARGUMENT" else None
    refusal = ErrorResponse(code=code, message=message, status=status, field_errors=field_errors)

    def handler(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.path.startswith(PREFIX):
            return JsonResponse(refusal.body(), status=refusal.status)
        return otherwise(request, *args, **kwargs)

    return handler


_malformed = _below_v1(
    pages.bad_request,
    code="INVALID_ARGUMENT",
    status=400,
    message="The request is invalid. Check its headers.",
)
_wrong_host = _below_v1(
    pages.bad_request, code="INVALID_ARGUMENT", status=400, message=pages.HOST_NOT_ALLOWED
)
permission_denied = _below_v1(
    pages.permission_denied,
    code="PERMISSION_DENIED",
    status=403,
    message="The request is not allowed. Check the permissions of your account.",
)
page_not_found = _below_v1(
    pages.page_not_found,
    code="NOT_FOUND",
    status=404,
    message=f"This address does not exist. {SEE_DOCS}",
)
_unexpected = _below_v1(pages.server_error, code="INTERNAL", status=500, message=UNEXPECTED)
_no_database = _below_v1(
    pages.no_database,
    code="UNAVAILABLE",
    status=503,
    message="The database does not answer. Try again in a moment.",
)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not isinstance(exception, DisallowedHost):
        return _malformed(request, exception)
    host = request.META.get("HTTP_HOST", "")[:255]
    logger.warning("host %r refused, it is not in VBASE_ALLOWED_HOSTS", host)
    return _wrong_host(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Respond to an unhandled error: 503 if the database is unreachable, otherwise 500."""
    error = sys.exc_info()[1]
    if error is None or not database_is_lost(error):
        return _unexpected(request)
    response = _no_database(request)
    response.headers["Retry-After"] = str(Unavailable.retry_after_seconds)
    return response
