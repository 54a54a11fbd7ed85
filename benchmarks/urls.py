from __future__ import annotations

from django.urls import include, path

from benchmarks.smallest import SmallestView

urlpatterns = [
    path("smallest/<str:cluster_id>", SmallestView.as_view()),
    path("", include("vbase_console.urls")),
]
