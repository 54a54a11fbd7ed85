"""Base views of pages: authentication, organization, scope and error pages.

Every POST that requests a change writes an audit entry, also if it is refused.
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
from vbase_console.core.errors import (
    ConsoleError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
)
from vbase_console.organizations import audit
from vbase_console.organizations.demo import READ_ONLY
from vbase_console.organizations.differences import noting
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.scopes import GET_SERVICE_ACCESS, MANAGE_ORGANIZATION
from vbase_console.organizations.tenancy import Principal
from vbase_console.web.errors import ConfirmationRequired, refusal_page
from vbase_console.web.frame import frame_of, principal_of_page
from vbase_console.web.live import HEADER, Live
from vbase_console.web.wording import readable

ORGANIZATION_COOKIE = "organization"
"""Cookie with the name of the last visited organization. Checked against the memberships."""
VISITORS_CHANGE_NOTHING = (
    "Support staff can read these pages and change nothing. Ask a member of the organization."
)
VISITORS_EXPORT_NOTHING = (
    "Support staff can read these pages and export nothing. Ask a member of the organization."
)
ONE_YEAR_SECONDS = 365 * 24 * 3600


class PageRequest(HttpRequest):
    """Request of a signed-in user."""

    user: User
    htmx: HtmxDetails
    live: Live


def wants_fragment(request: PageRequest) -> bool:
    """Return True if htmx requests a fragment. Navigation in the browser history needs the page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


class ConsoleView(View):
    """Base of every page below `/o/<organization>/`."""

    scopes: ClassVar[Mapping[str, str]]
    """HTTP method → required scope. Other methods are not allowed. Every page declares its own
    scopes, because there is no safe default.
    """
    action: ClassVar[str] = ""
    """Action name in the audit entry of a POST."""
    changes: ClassVar[bool] = True
    """False if a POST is a preview, which writes no audit entry."""
    records_each_object: ClassVar[bool] = False
    """True if an accepted POST writes an audit entry for each of its objects instead of one."""
    request: PageRequest
    principal: Principal
    object_id = ""
    """Object of a POST: set by the view for a created object, otherwise taken from the address."""
    live_parts: Live | None = None
    """Live parts of a GET. The version is read before all other rows."""
    operation_id = ""
    """Id of the accepted task."""
    detail = ""
    """Audit text of a POST that starts no task."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return sign_in_first(request)
        try:
            self.principal = principal_of_page(request, kwargs["organization"])
        except NotFound as error:
            return refusal_page(request, error)
        method = "GET" if request.method == "HEAD" else str(request.method)
        response: HttpResponseBase
        if refused := self._refused_during_visit(method):
            response = self._refuse_visitor(*refused)
        elif method not in self.scopes:
            response = self.http_method_not_allowed(request)
        elif method == "POST":
            response = self._serve_audited()
        else:
            try:
                response = self._serve(method)
            except ConsoleError as error:
                response = self._render_error(error)
        if not self.principal.visit_until:
            remember_organization(request, response, self.principal.organization_name)
        add_never_cache_headers(response)
        patch_vary_headers(response, ["HX-Request"])
        return response

    def prepare(self) -> None:
        """Prepare a POST before its transaction begins. Query other servers here, so that no row
        lock is held while they answer.
        """

    def name_objects(self, message: str) -> str:
        """Return an error message with object names in place of ids."""
        return readable(message, self.principal)

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        """Render an error. An htmx request reloads the whole page, which shows the error."""
        if self.request.htmx:
            return HttpResponseClientRefresh()
        return refusal_page(self.request, error)

    def audit_detail(self, error: ConsoleError) -> str:
        return error.message

    def _serve(self, method: str) -> HttpResponseBase:
        self.principal.require(self.scopes[method])
        if method == "GET":
            self.live_parts = Live(self.request, self.principal)
            self.request.live = self.live_parts
        return super().dispatch(self.request, *self.args, **self.kwargs)

    def _serve_audited(self) -> HttpResponseBase:
        """Serve a POST and write its audit entry in one transaction."""
        try:
            self.principal.require(self.scopes["POST"])
            self._refuse_demo()
            self.prepare()
            with noting(), transaction.atomic():
                response = self._serve("POST")
                if not self.records_each_object:
                    self._record(Outcome.ACCEPTED, self.operation_id or self.detail)
        except ConfirmationRequired as error:
            return self.error_response(error)
        except ConsoleError as error:
            self._record(Outcome.REFUSED, f"{error.code}: {self.audit_detail(error)}")
            return self._render_error(error)
        except Exception as error:
            self._record(Outcome.FAILED, type(error).__name__)
            raise
        return response

    def _refused_during_visit(self, method: str) -> tuple[str, str] | None:
        """Return action and message of a request that support staff may not send."""
        if not self.principal.visit_until:
            return None
        if method != "GET":
            return self.action or "ChangePage", VISITORS_CHANGE_NOTHING
        return ("ExportList", VISITORS_EXPORT_NOTHING) if "export" in self.request.GET else None

    def _refuse_visitor(self, action: str, message: str) -> HttpResponseBase:
        """Refuse a request during a visit, before the view is called."""
        error = PermissionDenied(message)
        keys = (str(value) for name, value in self.kwargs.items() if name != "organization")
        object_id = next(keys, self.request.path)
        self.record(action, object_id, Outcome.REFUSED, f"{error.code}: {error.message}")
        return refusal_page(self.request, error)

    def _refuse_demo(self) -> None:
        """Refuse changes of sample data. Members, keys and the reading of a token are none."""
        allowed = self.scopes["POST"] in (MANAGE_ORGANIZATION, GET_SERVICE_ACCESS)
        if self.principal.is_demo and self.changes and not allowed:
            raise FailedPrecondition(READ_ONLY)

    def _render_error(self, error: ConsoleError) -> HttpResponseBase:
        error.message = self.name_objects(error.message)
        return self.error_response(error)

    def _record(self, outcome: Outcome, detail: str) -> None:
        if not self.changes:
            return
        keys = (str(value) for name, value in self.kwargs.items() if name != "organization")
        object_in_address = next(keys, "")
        self.record(self.action, self.object_id or object_in_address, outcome, detail)

    def record(
        self,
        action: str,
        object_id: str,
        outcome: Outcome = Outcome.ACCEPTED,
        detail: str = "",
    ) -> None:
        """Write an audit entry. Views call this for further changes of the same request."""
        audit.record(
            organization_id=self.principal.organization_id,
            principal=self.principal.label,
            action=action,
            object_id=object_id,
            source=source_of(self.request),
            interface=audit.Interface.PAGES,
            outcome=outcome,
            detail=detail,
        )


class Page(ConsoleView):
    template_name: ClassVar[str]
    nav: ClassVar[str] = ""
    """Navigation entry of the page."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page()

    def context(self) -> dict[str, Any]:
        return {}

    def page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        if self.live_parts and self.live_parts.is_requested and status == 200:
            if self.live_parts.is_of_another_reader:
                return HttpResponse(status=401)  # the page loads itself anew
            # Messages are left for the page that the user loads next.
            context = {**self.context(), **more, **self.base_context(), "messages": ()}
            render(self.request, self.template_name, context)
            return self.live_parts.answer()
        context = self.frame() | self.context() | more
        return render(self.request, self.template_name, context, status=status)

    def fragment(self, template: str, **more: Any) -> HttpResponse:
        return render(self.request, template, self.base_context() | more)

    def base_context(self) -> dict[str, Any]:
        return {"principal": self.principal, "organization": self.principal.organization_name}

    def frame(self) -> dict[str, Any]:
        return {
            **frame_of(self.request, self.principal, self.nav),
            "live": self.live_parts,
            "live_busy_ms": round(settings.LIVE_BUSY_SECONDS * 1000),
            "live_idle_ms": round(settings.LIVE_IDLE_SECONDS * 1000),
        }


def sign_in_first(request: HttpRequest) -> HttpResponseBase:
    """Redirect to the sign-in page. A complete page returns here after sign-in."""
    if HEADER in request.headers:
        return HttpResponse(status=401)  # the page loads itself anew and leads to the sign-in
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
