"""Error pages. Maps error codes to HTTP statuses of pages."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import DisallowedHost, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render

from vbase_console.core.errors import Aborted, ConsoleError
from vbase_console.web.frame import frame_of, principal_of_path, section_of

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
    400: "Action not possible",
    403: "Permission denied",
    404: "Page not found",
    405: "No page at this address",
    429: "Too many requests",
    500: "Internal error",
    503: "Temporarily not available",
}

HOST_NOT_ALLOWED = (
    "The console is not served under this host name. Use another address of the console, or add "
    "the name to the setting VBASE_ALLOWED_HOSTS."
)
MESSAGES_OF_BAD_REQUESTS: dict[type[Exception], str] = {
    DisallowedHost: HOST_NOT_ALLOWED,
    TooManyFieldsSent: "The form has too many fields. Select fewer items or use the option for "
    "all of them.",
    RequestDataTooBig: "The form is larger than 1 MB. Enter fewer items or use the option for "
    "all of them.",
}


class ConfirmationRequired(Aborted):
    """The page asks for confirmation or more input before the action. Not a refusal."""


def status_of(error: ConsoleError) -> int:
    return STATUS_OF_CODE.get(error.code, 500)


def error_page(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Render an error with the navigation of the organization, if the user may see it."""
    title = TITLES.get(status, TITLES[400])
    context = {"status": status, "title": title, "message": message, "layout": "web/alone.html"}
    if principal := principal_of_path(request):
        view = getattr(request.resolver_match, "func", None)
        nav = getattr(getattr(view, "view_class", None), "nav", "")
        context |= frame_of(request, principal, nav)
        context |= {"layout": "web/console.html", "section": section_of(principal, nav)}
    return render(request, "web/error.html", context, status=status)


def refusal_page(request: HttpRequest, error: ConsoleError) -> HttpResponse:
    response = error_page(request, status_of(error), error.message)
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(error.retry_after_seconds)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render without the request, because it is malformed."""
    message = next(
        (text for kind, text in MESSAGES_OF_BAD_REQUESTS.items() if isinstance(exception, kind)),
        "The request is malformed. Check its address and data.",
    )
    return error_page(HttpRequest(), 400, message)


class RefusalMiddleware:
    """Answer a ConsoleError raised outside ConsoleView, such as a busy hasher at sign-in, and give
    a page to a response about a wrong method, which has none. Browsers show it for links and forms,
    not for methods that only scripts send.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        is_shown = request.method in ("GET", "HEAD", "POST")
        if is_shown and isinstance(response, HttpResponseNotAllowed) and not response.content:
            message = "Only a button of another page leads to this address. Go back and use it."
            response.content = error_page(request, response.status_code, message).content
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refusal_page(request, error) if isinstance(error, ConsoleError) else None


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 403, "Your role does not allow this. Ask an owner for another role.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_page(request, 404, "Check the address or start from the overview.")


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a missing or wrong CSRF token, usually of a page loaded before the last sign-in."""
    message = "This form has expired. Go back, reload the page and try again."
    return error_page(request, 403, message)


def server_error(request: HttpRequest) -> HttpResponse:
    message = (
        "The error was logged. Try again in a moment. If it persists, contact support and "
        "state the time."
    )
    return _render_without_request(500, message)


def no_database(request: HttpRequest) -> HttpResponse:
    return _render_without_request(
        503, "The database is not available. Reload this page in a moment."
    )


def _render_without_request(status: int, message: str) -> HttpResponse:
    """Render without the request, so that the error cannot also break this page."""
    context = {"status": status, "title": TITLES[status], "message": message}
    layout = {"layout": "web/alone.html"}
    return render(HttpRequest(), "web/error.html", context | layout, status=status)
