from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.views import (
    changes,
    detail,
    jobs,
    lists,
    policies,
    policies_changes,
    policies_editing,
    policies_lists,
    protection,
    restore,
    take,
)

ONE_BACKUP = "backups/<str:backup_name>"
ONE_JOB = "jobs/<slug:job_id>"
ONE_CLUSTER = "clusters/<slug:cluster_id>"
ONE_POLICY = "policies/<slug:policy_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("protection", protection.ProtectionView.as_view(), name="protection"),
    path("backups", lists.BackupListView.as_view(), name="backup-list"),
    path("take-backup", lists.TakeFromView.as_view(), name="backup-take-from"),
    path(ONE_BACKUP, detail.BackupDetailView.as_view(), name="backup-detail"),
    path(f"{ONE_BACKUP}/progress", detail.BackupProgressView.as_view(), name="backup-progress"),
    path(f"{ONE_BACKUP}/verify", changes.BackupVerifyView.as_view(), name="backup-verify"),
    path(f"{ONE_BACKUP}/pin", changes.BackupPinView.as_view(), name="backup-pin"),
    path(f"{ONE_BACKUP}/unpin", changes.BackupUnpinView.as_view(), name="backup-unpin"),
    path(f"{ONE_BACKUP}/release", changes.BackupReleaseView.as_view(), name="backup-release"),
    path(f"{ONE_BACKUP}/delete", changes.BackupDeleteView.as_view(), name="backup-delete"),
    path(f"{ONE_BACKUP}/restore", restore.RestoreView.as_view(), name="backup-restore"),
    path(f"{ONE_BACKUP}/restore/tick", restore.RestoreTickView.as_view(), name="restore-tick"),
    path(
        f"{ONE_BACKUP}/restore/confirm",
        restore.RestoreConfirmView.as_view(),
        name="backup-restore-confirm",
    ),
    path(
        f"{ONE_CLUSTER}/backups", lists.ClusterBackupListView.as_view(), name="cluster-backup-list"
    ),
    path(
        f"{ONE_CLUSTER}/backups/newest", lists.NewestBackupsView.as_view(), name="cluster-backups"
    ),
    path(f"{ONE_CLUSTER}/take-backup", take.TakeView.as_view(), name="backup-take"),
    path(f"{ONE_CLUSTER}/take-backup/tick", take.TakeTickView.as_view(), name="take-tick"),
    path(f"{ONE_CLUSTER}/jobs", jobs.ClusterJobListView.as_view(), name="cluster-job-list"),
    path("jobs", jobs.JobListView.as_view(), name="job-list"),
    path(ONE_JOB, jobs.JobDetailView.as_view(), name="job-detail"),
    path(f"{ONE_JOB}/progress", jobs.JobProgressView.as_view(), name="job-progress"),
    path(f"{ONE_JOB}/cancel", jobs.JobCancelView.as_view(), name="job-cancel"),
    path(f"{ONE_JOB}/retry", jobs.JobRetryView.as_view(), name="job-retry"),
    path("policies", policies_lists.PolicyListView.as_view(), name="policy-list"),
    path("policies/new", policies_lists.PolicyNewView.as_view(), name="policy-new"),
    path(
        f"{ONE_CLUSTER}/policies",
        policies_lists.ClusterPolicyListView.as_view(),
        name="cluster-policy-list",
    ),
    path(
        f"{ONE_CLUSTER}/policies/new",
        policies_editing.PolicyCreateView.as_view(),
        name="policy-create",
    ),
    path(
        f"{ONE_CLUSTER}/policies/preview",
        policies_editing.PolicyCreatePreviewView.as_view(),
        name="policy-create-preview",
    ),
    path(ONE_POLICY, policies.PolicyDetailView.as_view(), name="policy-detail"),
    path(f"{ONE_POLICY}/progress", policies.PolicyProgressView.as_view(), name="policy-progress"),
    path(f"{ONE_POLICY}/runs", policies_lists.PolicyRunListView.as_view(), name="policy-runs"),
    path(
        f"{ONE_POLICY}/backups",
        policies_lists.PolicyBackupListView.as_view(),
        name="policy-backups",
    ),
    path(f"{ONE_POLICY}/edit", policies_editing.PolicyEditView.as_view(), name="policy-edit"),
    path(
        f"{ONE_POLICY}/preview",
        policies_editing.PolicyPreviewView.as_view(),
        name="policy-preview",
    ),
    path(f"{ONE_POLICY}/run", policies_changes.PolicyRunView.as_view(), name="policy-run"),
    path(f"{ONE_POLICY}/pause", policies_changes.PolicyPauseView.as_view(), name="policy-pause"),
    path(f"{ONE_POLICY}/resume", policies_changes.PolicyResumeView.as_view(), name="policy-resume"),
    path(f"{ONE_POLICY}/delete", policies_changes.PolicyDeleteView.as_view(), name="policy-delete"),
]
