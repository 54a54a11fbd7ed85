"""URLs below /admin/, ahead of those of Django's admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from vbase_console.dashboard.support import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", admin.site.admin_view(views.index), name="admin-index"),
    path("search/", admin.site.admin_view(views.search), name="admin-search"),
    path("visit/end/", admin.site.admin_view(views.leave), name="admin-visit-end"),
    path(
        "clusters/cluster/<slug:cluster_id>/story/",
        admin.site.admin_view(views.story),
        name="admin-cluster-story",
    ),
    path(
        "organizations/organization/<uuid:organization_id>/visit/",
        admin.site.admin_view(views.visit),
        name="admin-visit",
    ),
]
