from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from vbase_console.api.documentation import Schema, docs
from vbase_console.dashboard.overview import OverviewRedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/vbase/", include("vbase_console.api.urls")),
    path("v1/vbase/", include("vbase_console.search.api_urls")),
    path("v1/vbase/", include("vbase_console.explorer.api_urls")),
    path("v1/vbase/", include("clusters.api.urls")),
    path("v1/vbase/", include("backups.policies.api_urls")),
    path("v1/vbase/", include("backups.api.urls")),
    path("api/schema/", Schema.as_view(), name="api-schema"),
    path("api/docs/", docs, name="api-docs"),
    # Redirects for addresses that are typed by hand. Addresses below /v1/ have one spelling only.
    path(
        "api/docs", require_safe(RedirectView.as_view(pattern_name="api-docs")), name="to-api-docs"
    ),
    path("admin", require_safe(RedirectView.as_view(pattern_name="admin:index")), name="to-admin"),
    path("o/<slug:organization>", OverviewRedirectView.as_view(), name="to-overview"),
    path("", include("vbase_console.organizations.urls")),
    path("o/<slug:organization>/", include("clusters.urls")),
    path("o/<slug:organization>/", include("backups.urls")),
    path("o/<slug:organization>/", include("backups.policies.urls")),
    path("o/<slug:organization>/", include("backups.protection.urls")),
    path("o/<slug:organization>/", include("vbase_console.search.urls")),
    path("o/<slug:organization>/", include("vbase_console.explorer.urls")),
    path("o/<slug:organization>/", include("vbase_console.dashboard.urls")),
    # Users change their password on one page, which is audited. The page of the admin is not.
    path(
        "admin/password_change/",
        admin.site.admin_view(RedirectView.as_view(pattern_name="password-change")),
        name="admin-password-change",
    ),
    path("admin/", include("vbase_console.dashboard.support.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "vbase_console.error_handlers.bad_request"
handler403 = "vbase_console.error_handlers.permission_denied"
handler404 = "vbase_console.error_handlers.page_not_found"
handler500 = "vbase_console.error_handlers.server_error"
