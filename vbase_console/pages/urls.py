"""Pages that show several apps at once."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from vbase_console.pages.overview import OverviewView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", OverviewView.as_view(), name="overview"),
]
