"""What is refused, as a page: the one place where an error of the domain becomes a status here."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from vbase_console.core.errors import Aborted, ConsoleError

STATUS_OF_CODE = {
    "INVALID_ARGUMENT": 422,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
TITLES = {
    400: "That is not possible now",
    403: "You may not do that",
    404: "There is nothing here",
    429: "Too many requests",
    500: "Something went wrong here",
}


MESSAGES_OF_BAD_REQUESTS: dict[type[Exception], str] = {
    TooManyFieldsSent: "The form has more fields than the console takes. Tick fewer, or use its "
    "choice for all of them.",
    RequestDataTooBig: "The form is larger than 1 MB. Name fewer, or use its choice for all.",
}


class ConfirmationRequired(Aborted):
    """The page has a question before it does what was asked for: nothing is refused yet."""


def status_of(error: ConsoleError) -> int:
    return STATUS_OF_CODE.get(error.code, 500)


def error_page(request: HttpRequest, status: int, message: str) -> HttpResponse:
    context = {"status": status, "title": TITLES.get(status, TITLES[400]), "message": message}
    return render(request, "web/error.html", context, status=status)


def refusal_page(request: HttpRequest, error: ConsoleError) -> HttpResponse:
    response = error_page(request, status_of(error), error.message)
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(error.retry_after_seconds)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Rendered without the request, which is not understood."""
    message = next(
        (text for kind, text in MESSAGES_OF_BAD_REQUESTS.items() if isinstance(exception, kind)),
        "This request cannot be understood; check its address and what was sent with it.",
    )
    return error_page(HttpRequest(), 400, message)


class RefusalMiddleware:
    """Answer a ConsoleError that reaches Django, such as a busy password hash in a sign-in form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refusal_page(request, error) if isinstance(error, ConsoleError) else None


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, "Your role does not allow this; ask an owner for it.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, "Check the address, or go on from the start page.")


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its secret: most often a page from before the last sign-in."""
    message = "This page is older than your sign-in. Go back, load it again, and try once more."
    return error_page(request, 403, message)


def server_error(request: HttpRequest) -> HttpResponse:
    message = "It was written to the log. Try again in a moment; if it stays, tell support when."
    return _without_request(500, message)


def no_database(request: HttpRequest) -> HttpResponse:
    return _without_request(503, "The database does not answer. Load this page again in a moment.")


def _without_request(status: int, message: str) -> HttpResponse:
    """Rendered without the request: whatever broke must not break this page, too."""
    context = {"status": status, "title": TITLES[500], "message": message}
    return render(HttpRequest(), "web/error.html", context, status=status)
