"""The one way to a page: authentication, organization and scope. A refusal is shown on the
page; every POST that asks for a change leaves an audit row, a refused one as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.generic import View
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh
from django_htmx.middleware import HtmxDetails

from vbase_console.core.client_address import source_of
from vbase_console.core.errors import ConsoleError, NotFound
from vbase_console.organizations import audit
from vbase_console.organizations.authentication import principal_of_member
from vbase_console.organizations.models import Organization, Outcome
from vbase_console.organizations.tenancy import Principal
from vbase_console.web.errors import ConfirmationRequired, refusal_page

ORGANIZATION_COOKIE = "organization"
"""Which organization this browser looked at last; a name, checked against the memberships."""


class PageRequest(HttpRequest):
    """A request of somebody who has signed in."""

    user: User
    htmx: HtmxDetails


def wants_fragment(request: PageRequest) -> bool:
    """Whether htmx asks for a part of the page; going back in the history wants the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request


ONE_YEAR_SECONDS = 365 * 24 * 3600


class ConsoleView(View):
    """Everything below `/o/<organization>/`."""

    scopes: ClassVar[Mapping[str, str]]
    """Method → the right that it needs; one that is not named is not served. Each page says it for
    itself: what any member may see is nobody's default.
    """
    action: ClassVar[str] = ""
    """What history calls a POST to this page."""
    changes: ClassVar[bool] = True
    """Whether a POST asks for a change; one that only looks ahead leaves no row."""
    request: PageRequest
    principal: Principal
    object_id = ""
    """What a POST is about; filled from the address, or by the view once it has made the thing."""
    operation_id = ""
    """The task that was accepted."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return sign_in_first(request)
        try:
            self.principal = principal_of_member(request.user, kwargs["organization"])
        except NotFound as error:
            return refusal_page(request, error)
        response = self._answered()
        remember_organization(request, response, self.principal.organization_name)
        add_never_cache_headers(response)
        patch_vary_headers(response, ["HX-Request"])
        return response

    def prepare(self) -> None:
        """Before the transaction of a POST begins: what a server must be asked is asked here, so
        that nobody waits for a lock while it answers.
        """

    def in_words(self, message: str) -> str:
        """A refusal as the person reads it, who knows things by their names."""
        return message

    def refused(self, error: ConsoleError) -> HttpResponseBase:
        """How the person learns of a refusal. A fragment cannot say it: the whole page comes
        again, and says it.
        """
        if self.request.htmx:
            return HttpResponseClientRefresh()
        return refusal_page(self.request, error)

    def in_history(self, error: ConsoleError) -> str:
        """What history says of a refusal."""
        return error.message

    def _answered(self) -> HttpResponseBase:
        method = "GET" if self.request.method == "HEAD" else str(self.request.method)
        if method not in self.scopes:
            return self.http_method_not_allowed(self.request)
        if method == "POST":
            return self._audited()
        try:
            return self._served(method)
        except ConsoleError as error:
            return self._refused(error)

    def _served(self, method: str) -> HttpResponseBase:
        self.principal.require(self.scopes[method])
        return super().dispatch(self.request, *self.args, **self.kwargs)

    def _audited(self) -> HttpResponseBase:
        """What is done and the row that says so are committed together, or neither is."""
        try:
            self.principal.require(self.scopes["POST"])
            self.prepare()
            with transaction.atomic():
                response = self._served("POST")
                self._record(Outcome.ACCEPTED, self.operation_id)
        except ConfirmationRequired as question:
            return self.refused(question)
        except ConsoleError as error:
            self._record(Outcome.REFUSED, f"{error.code}: {self.in_history(error)}")
            return self._refused(error)
        except Exception as error:
            self._record(Outcome.FAILED, type(error).__name__)
            raise
        return response

    def _refused(self, error: ConsoleError) -> HttpResponseBase:
        error.message = self.in_words(error.message)
        return self.refused(error)

    def _record(self, outcome: Outcome, detail: str) -> None:
        if not self.changes:
            return
        audit.record(
            organization_id=self.principal.organization_id,
            principal=self.principal.label,
            action=self.action,
            object_id=self.object_id or _key_in(self.kwargs),
            source=source_of(self.request),
            interface=audit.Interface.PAGES,
            outcome=outcome,
            detail=detail,
        )


class Page(ConsoleView):
    """A whole page, with the frame round it."""

    template_name: ClassVar[str]
    nav: ClassVar[str] = ""
    """Which entry of the navigation it belongs to."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page()

    def context(self) -> dict[str, Any]:
        return {}

    def page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        context = self.frame() | self.context() | more
        return render(self.request, self.template_name, context, status=status)

    def fragment(self, template: str, **more: Any) -> HttpResponse:
        context = {"principal": self.principal, "organization": self.principal.organization_name}
        return render(self.request, template, context | more)

    def frame(self) -> dict[str, Any]:
        mine = Organization.objects.filter(members=self.request.user)
        return {
            "principal": self.principal,
            "organization": self.principal.organization_name,
            "organizations": [organization.name for organization in mine],
            "nav": self.nav,
        }


def sign_in_first(request: HttpRequest) -> HttpResponseBase:
    """To the sign-in page and, from a whole page, back here afterwards."""
    if cast(PageRequest, request).htmx:
        return HttpResponseClientRedirect(resolve_url(settings.LOGIN_URL))
    return redirect_to_login(request.get_full_path())


def remember_organization(request: HttpRequest, response: HttpResponseBase, name: str) -> None:
    if request.COOKIES.get(ORGANIZATION_COOKIE) == name:
        return
    response.set_cookie(
        ORGANIZATION_COOKIE,
        name,
        max_age=ONE_YEAR_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )


def _key_in(kwargs: Mapping[str, Any]) -> str:
    """The key of the object in an address, beside the organization."""
    return next((str(value) for name, value in kwargs.items() if name != "organization"), "")
