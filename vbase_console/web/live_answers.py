"""Answers to open pages ahead of sessions, messages and templates; see docs/live-pages.md."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils.cache import add_never_cache_headers

from vbase_console.organizations.authentication import principal_of_session
from vbase_console.web.live import HEADER, Live
from vbase_console.web.views import ConsoleView


class LiveAnswerMiddleware:
    """Answer a page whose version is the same, with 304 or with the progress of its tasks.

    Every other request is passed on, also one that will be refused.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._answer(request) or self._get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponse | None:
        session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if HEADER not in request.headers or request.method != "GET" or not session_key:
            return None
        request.get_host()  # raises DisallowedHost
        try:
            page = resolve(request.path_info)
        except Resolver404:
            return None
        view = getattr(page.func, "view_class", None)
        if view is None or not issubclass(view, ConsoleView) or "GET" not in view.scopes:
            return None
        principal = principal_of_session(session_key, page.kwargs["organization"])
        if principal is None or not principal.may(view.scopes["GET"]):
            return None
        answer = Live(request, principal).answer_without_page()
        if answer is not None:
            add_never_cache_headers(answer)
        return answer
