from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.policies.views import actions, detail, edit
from backups.policies.views import list as lists
from backups.urls import ONE_BACKUP, ONE_CLUSTER

ONE_POLICY = "policies/<slug:policy_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{ONE_BACKUP}/release", actions.BackupReleaseView.as_view(), name="backup-release"),
    path("policies", lists.PolicyListView.as_view(), name="policy-list"),
    path("policies/new", lists.PolicyClusterChoiceView.as_view(), name="policy-new"),
    path(
        f"{ONE_CLUSTER}/policies",
        lists.ClusterPolicyListView.as_view(),
        name="cluster-policy-list",
    ),
    path(
        f"{ONE_CLUSTER}/policies/new",
        edit.PolicyCreateView.as_view(),
        name="policy-create",
    ),
    path(
        f"{ONE_CLUSTER}/policies/preview",
        edit.PolicyCreatePreviewView.as_view(),
        name="policy-create-preview",
    ),
    path(ONE_POLICY, detail.PolicyDetailView.as_view(), name="policy-detail"),
    path(f"{ONE_POLICY}/runs", lists.PolicyRunListView.as_view(), name="policy-runs"),
    path(
        f"{ONE_POLICY}/backups",
        lists.PolicyBackupListView.as_view(),
        name="policy-backups",
    ),
    path(f"{ONE_POLICY}/edit", edit.PolicyEditView.as_view(), name="policy-edit"),
    path(
        f"{ONE_POLICY}/preview",
        edit.PolicyPreviewView.as_view(),
        name="policy-preview",
    ),
    path(f"{ONE_POLICY}/run", actions.PolicyRunView.as_view(), name="policy-run"),
    path(f"{ONE_POLICY}/pause", actions.PolicyPauseView.as_view(), name="policy-pause"),
    path(f"{ONE_POLICY}/resume", actions.PolicyResumeView.as_view(), name="policy-resume"),
    path(f"{ONE_POLICY}/delete", actions.PolicyDeleteView.as_view(), name="policy-delete"),
]
