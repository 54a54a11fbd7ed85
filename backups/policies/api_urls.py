"""API addresses of policies, matched before those of backups: no backup is named `policy`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.api.urls import OF_SERVICE, ONE
from backups.policies import api

POLICIES = f"{OF_SERVICE}/policy"
POLICY = f"{POLICIES}/<str:policy_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(POLICIES, api.Policies.as_view(), name="api-policies"),
    path(f"{POLICIES}/preview", api.PreviewPolicy.as_view(), name="api-policy-preview"),
    path(POLICY, api.OnePolicy.as_view(), name="api-policy"),
    path(f"{POLICY}/run", api.RunPolicy.as_view(), name="api-policy-run"),
    path(f"{ONE}/release", api.ReleaseBackup.as_view(), name="api-backup-release"),
]
