from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.protection import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("protection", views.ProtectionView.as_view(), name="protection"),
]
