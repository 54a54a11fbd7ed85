"""Every address of the console, door by door."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/vbase/", include("vbase_console.api.urls")),
    path("v1/vbase/", include("clusters.api.urls")),
    path("", include("vbase_console.organizations.urls")),
    path("o/<str:organization>/", include("clusters.urls")),
    path("admin/", admin.site.urls),
]
