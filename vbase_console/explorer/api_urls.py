from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from vbase_console.explorer import api

ONE = "clusters/<str:cluster_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{ONE}/collections", api.ListCollections.as_view(), name="api-cluster-collections"),
    path(f"{ONE}/databases", api.CreateDatabase.as_view(), name="api-databases"),
    path(f"{ONE}/databases/<str:name>", api.DropDatabase.as_view(), name="api-database"),
    path(
        f"{ONE}/collections/<str:name>/load",
        api.LoadCollection.as_view(),
        name="api-collection-load",
    ),
    path(
        f"{ONE}/collections/<str:name>/release",
        api.ReleaseCollection.as_view(),
        name="api-collection-release",
    ),
]
