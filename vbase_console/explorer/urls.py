from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from clusters.urls import ONE_CLUSTER
from vbase_console.explorer import views

DATABASES = f"{ONE_CLUSTER}/databases"
COLLECTION = f"{ONE_CLUSTER}/collection"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{COLLECTION}s", views.CollectionListView.as_view(), name="cluster-collections"),
    path(
        f"{COLLECTION}s/summary",
        views.CollectionSummaryView.as_view(),
        name="cluster-collections-summary",
    ),
    path(COLLECTION, views.CollectionDetailView.as_view(), name="collection-detail"),
    path(f"{COLLECTION}/rows", views.CollectionRowsView.as_view(), name="collection-rows"),
    path(f"{COLLECTION}/load", views.CollectionLoadView.as_view(), name="collection-load"),
    path(f"{COLLECTION}/release", views.CollectionReleaseView.as_view(), name="collection-release"),
    path(f"{DATABASES}/new", views.DatabaseCreateView.as_view(), name="database-create"),
    path(f"{DATABASES}/drop", views.DatabaseDropView.as_view(), name="database-drop"),
]
