from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from vbase_console.search.api import Search

urlpatterns: list[URLPattern | URLResolver] = [
    path("search", Search.as_view(), name="api-search"),
]
