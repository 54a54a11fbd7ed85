"""Every address of the console, door by door."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/vbase/", include("vbase_console.api.urls")),
    path("v1/vbase/", include("clusters.api.urls")),
    path("", include("vbase_console.organizations.urls")),
    path("o/<slug:organization>/", include("vbase_console.pages.urls")),
    path("o/<slug:organization>/", include("clusters.urls")),
    path("admin/", admin.site.urls),
]

handler403 = "vbase_console.pages.errors.permission_denied"
handler404 = "vbase_console.pages.errors.page_not_found"
handler500 = "vbase_console.pages.errors.server_error"
