"""Pages of the admin that show several apps: index, search, story of a cluster, visits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from clusters.models import Cluster
from vbase_console.dashboard.support.problems import problem_lists
from vbase_console.dashboard.support.search import (
    MAX_RESULTS_PER_KIND,
    MIN_LENGTH,
    only_exact,
    search_everything,
)
from vbase_console.dashboard.support.story import story_of
from vbase_console.organizations.models import Organization
from vbase_console.organizations.visits import begin_visit, end_visit, may_visit


class VisitForm(forms.Form):
    reason = forms.CharField(
        max_length=300,
        help_text="For example the number of a ticket. The organization's members see the reason "
        "and your name in their activity.",
    )


def context_of(request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
    return {**admin.site.each_context(request), "title": title, **more}


def require(request: HttpRequest, *permissions: str) -> None:
    if not request.user.has_perms(permissions):
        raise PermissionDenied


def index(request: HttpRequest) -> HttpResponseBase:
    """The admin's index, which begins with the problems of all organizations."""
    may_look = request.user.has_perms(LOOKING)
    lists = problem_lists() if may_look else []
    return admin.site.index(request, {"problem_lists": lists, "may_look": may_look})


LOOKING = ("clusters.view_cluster", "tasks.view_task", "backups.view_backup")
"""Permissions of the pages that show objects of several kinds."""


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    require(request, *LOOKING)
    text = request.GET.get("q", "")[:200]
    hits = search_everything(text)
    if found := only_exact(hits):
        return redirect(found.address)
    context = context_of(
        request,
        "Search",
        q=text,
        hits=hits,
        min_length=MIN_LENGTH,
        max_results=MAX_RESULTS_PER_KIND,
    )
    return render(request, "admin/support/search.html", context)


@require_safe
def story(request: HttpRequest, cluster_id: str) -> HttpResponse:
    require(request, *LOOKING)
    rows = Cluster.objects.select_related("organization")
    cluster = get_object_or_404(rows, cluster_id=cluster_id)
    try:
        page = story_of(cluster, {name: str(text) for name, text in request.GET.items()})
    except ValueError:
        page = story_of(cluster, {})
    context = context_of(request, f"Story of {cluster.name}", cluster=cluster, page=page)
    return render(request, "admin/support/cluster_story.html", context)


def visit(request: HttpRequest, organization_id: str) -> HttpResponse:
    """Ask for a reason, then begin a read-only visit of the organization's pages."""
    if not may_visit(request.user):
        raise PermissionDenied
    organization = get_object_or_404(Organization, pk=organization_id)
    form = VisitForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        begin_visit(request, organization, reason=form.cleaned_data["reason"])
        return redirect("overview", organization=organization.name)
    title = f"Read the pages of {organization.name}"
    context = context_of(request, title, organization=organization, form=form)
    return render(request, "admin/support/visit.html", context)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    end_visit(request)
    messages.success(request, "The visit has ended.")
    return redirect("admin:index")
