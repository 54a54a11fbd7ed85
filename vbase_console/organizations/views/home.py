from __future__ import annotations

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from vbase_console.core.errors import ConsoleError
from vbase_console.organizations.filters import OrganizationFilter
from vbase_console.organizations.models import Membership
from vbase_console.organizations.services import require_organization_creation
from vbase_console.web.csv_export import csv_response, values_of
from vbase_console.web.lists import page_of
from vbase_console.web.views import (
    ONE_YEAR_SECONDS,
    ORGANIZATION_COOKIE,
    PageRequest,
    wants_fragment,
)

APPEARANCES = ("auto", "light", "dark")


class HomeView(LoginRequiredMixin, View):
    """Redirect to the last visited or only organization, otherwise to the list."""

    def get(self, request: HttpRequest) -> HttpResponse:
        memberships = Membership.objects.filter(user=request.user.pk)
        names = list(memberships.values_list("organization__name", flat=True)[:1000])
        last = request.COOKIES.get(ORGANIZATION_COOKIE)
        if last in names or len(names) == 1:
            return redirect("overview", organization=last if last in names else names[0])
        return redirect("organization-list")


class OrganizationListView(LoginRequiredMixin, View):
    filter_class = OrganizationFilter
    template_name = "organizations/organization_list.html"
    table_name = "organizations/partials/organization_table.html"
    csv_columns = {"Name": "organization__name", "Role": "role", "Members": "members"}

    def get(self, request: PageRequest) -> HttpResponseBase:
        filter_form = self.filter_class(request.GET)
        memberships = Membership.objects.filter(user=request.user.pk).select_related("organization")
        counted = memberships.annotate(members=Count("organization__membership"))
        if request.GET.get("export") == "csv":
            values = values_of(filter_form.narrow(counted), list(self.csv_columns.values()))
            return csv_response(str(request.user), "organizations", self.csv_columns, values)
        rows = page_of(filter_form, counted, request)
        template = self.table_name if wants_fragment(request) else self.template_name
        context = {
            "rows": rows,
            "filter": filter_form,
            "may_create": _may_create(request.user),
            "can_export": True,
        }
        return render(request, template, context)


def _may_create(user: User) -> bool:
    try:
        require_organization_creation(user)
    except ConsoleError:
        return False
    return True


class AppearanceView(View):
    """Store the appearance in a cookie, so that it needs no JavaScript."""

    def post(self, request: HttpRequest) -> HttpResponse:
        appearance, back = request.POST.get("appearance", ""), request.POST.get("next", "/")
        is_safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
        response = redirect(back if is_safe else "home")
        if appearance in APPEARANCES:
            response.set_cookie("appearance", appearance, max_age=ONE_YEAR_SECONDS, samesite="Lax")
        return response
