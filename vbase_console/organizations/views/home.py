"""Where a person lands, and what belongs to the browser rather than to an organization."""

from __future__ import annotations

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import View

from vbase_console.organizations.models import Membership
from vbase_console.pages.base import ONE_YEAR_SECONDS
from vbase_console.pages.requests import ORGANIZATION_COOKIE

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
    def get(self, request: HttpRequest) -> HttpResponse:
        mine = Membership.objects.filter(user=request.user.pk).select_related("organization")
        memberships = mine.annotate(members=Count("organization__membership"))
        context = {"memberships": memberships.order_by("organization__name")}
        return render(request, "organizations/organization_list.html", context)


class AppearanceView(View):
    """Light, dark, or as the system says; kept in a cookie, so that it needs no script."""

    def post(self, request: HttpRequest) -> HttpResponse:
        chosen, back = request.POST.get("appearance", ""), request.POST.get("next", "/")
        safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, request.is_secure())
        response = redirect(back if safe else "home")
        if chosen in APPEARANCES:
            response.set_cookie("appearance", chosen, max_age=ONE_YEAR_SECONDS, samesite="Lax")
        return response
