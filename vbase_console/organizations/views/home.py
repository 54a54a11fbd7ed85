"""Where a person lands, and what belongs to the browser rather than to an organization."""

from __future__ import annotations

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from vbase_console.organizations.filters import OrganizationFilter
from vbase_console.organizations.models import Membership
from vbase_console.web.lists import page_of
from vbase_console.web.views import (
    ONE_YEAR_SECONDS,
    ORGANIZATION_COOKIE,
    PageRequest,
    wants_fragment,
)

APPEARANCES = ("auto", "light", "dark")


class HomeView(LoginRequiredMixin, View):
    """To the organization looked at last, or to the only one; else the person chooses."""

    def get(self, request: HttpRequest) -> HttpResponse:
        mine = Membership.objects.filter(user=request.user.pk)
        names = list(mine.values_list("organization__name", flat=True)[:1000])
        last = request.COOKIES.get(ORGANIZATION_COOKIE)
        if last in names or len(names) == 1:
            return redirect("overview", organization=last if last in names else names[0])
        return redirect("organization-list")


class OrganizationListView(LoginRequiredMixin, View):
    filter_class = OrganizationFilter
    template_name = "organizations/organization_list.html"
    table_name = "organizations/partials/organization_table.html"

    def get(self, request: PageRequest) -> HttpResponse:
        narrowing = self.filter_class(request.GET)
        mine = Membership.objects.filter(user=request.user.pk).select_related("organization")
        rows = page_of(narrowing, mine.annotate(members=Count("organization__membership")), request)
        template = self.table_name if wants_fragment(request) else self.template_name
        return render(request, template, {"rows": rows, "filter": narrowing})


class AppearanceView(View):
    """Light, dark, or as the system says; kept in a cookie, so that it needs no script."""

    def post(self, request: HttpRequest) -> HttpResponse:
        chosen, back = request.POST.get("appearance", ""), request.POST.get("next", "/")
        safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
        response = redirect(back if safe else "home")
        if chosen in APPEARANCES:
            response.set_cookie("appearance", chosen, max_age=ONE_YEAR_SECONDS, samesite="Lax")
        return response
