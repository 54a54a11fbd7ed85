from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from vbase_console.search.views import SearchView

urlpatterns: list[URLPattern | URLResolver] = [
    path("search", SearchView.as_view(), name="search"),
]
