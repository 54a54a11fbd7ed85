from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from vbase_console.api.health import HealthCheck, Me

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", HealthCheck.as_view(), name="api-healthz"),
    path("me", Me.as_view(), name="api-me"),
]
