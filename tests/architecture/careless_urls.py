"""Views without protection, for the test that the walker finds them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from clusters.models import Cluster
from vbase_console.organizations.authentication import principal_of_member


def without_protection(request: HttpRequest, cluster_id: str) -> HttpResponse:
    return HttpResponse(Cluster.objects.get(pk=cluster_id).name)


def with_a_membership_only(
    request: HttpRequest, organization: str, cluster_id: str
) -> HttpResponse:
    principal_of_member(request.user, organization)
    return HttpResponse(Cluster.objects.get(pk=cluster_id).token)


def unheard_of(request: HttpRequest, mystery: str) -> HttpResponse:
    return HttpResponse(mystery)


urlpatterns = [
    path("v1/vbase/leak/<str:cluster_id>", without_protection),
    path("o/<str:organization>/leak/<str:cluster_id>", with_a_membership_only),
    path("v1/vbase/strange/<str:mystery>", unheard_of),
]
