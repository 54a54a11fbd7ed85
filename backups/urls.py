from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.views import actions, bulk, clone, create, detail, jobs, restore
from backups.views import list as lists

ONE_BACKUP = "backups/<str:backup_name>"
ONE_JOB = "jobs/<slug:job_id>"
ONE_CLUSTER = "clusters/<slug:cluster_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("backups", lists.BackupListView.as_view(), name="backup-list"),
    path("backup-actions/verify", bulk.BackupBulkVerifyView.as_view(), name="backup-bulk-verify"),
    path("backup-actions/pin", bulk.BackupBulkPinView.as_view(), name="backup-bulk-pin"),
    path("backup-actions/delete", bulk.BackupBulkDeleteView.as_view(), name="backup-bulk-delete"),
    path("take-backup", lists.BackupClusterChoiceView.as_view(), name="backup-take-from"),
    path(ONE_BACKUP, detail.BackupDetailView.as_view(), name="backup-detail"),
    path(f"{ONE_BACKUP}/verify", actions.BackupVerifyView.as_view(), name="backup-verify"),
    path(f"{ONE_BACKUP}/pin", actions.BackupPinView.as_view(), name="backup-pin"),
    path(f"{ONE_BACKUP}/unpin", actions.BackupUnpinView.as_view(), name="backup-unpin"),
    path(f"{ONE_BACKUP}/download", actions.BackupDownloadView.as_view(), name="backup-download"),
    path(f"{ONE_BACKUP}/delete", actions.BackupDeleteView.as_view(), name="backup-delete"),
    path(f"{ONE_BACKUP}/restore", restore.RestoreView.as_view(), name="backup-restore"),
    path(f"{ONE_BACKUP}/restore/tick", restore.RestoreSelectView.as_view(), name="restore-tick"),
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
    path(f"{ONE_CLUSTER}/clone", clone.ClusterCloneView.as_view(), name="cluster-clone"),
    path(f"{ONE_CLUSTER}/take-backup", create.BackupCreateView.as_view(), name="backup-take"),
    path(
        f"{ONE_CLUSTER}/take-backup/tick", create.BackupCreateSelectView.as_view(), name="take-tick"
    ),
    path(ONE_JOB, jobs.JobDetailView.as_view(), name="job-detail"),
    path(f"{ONE_JOB}/cancel", jobs.JobCancelView.as_view(), name="job-cancel"),
    path(f"{ONE_JOB}/retry", jobs.JobRetryView.as_view(), name="job-retry"),
]
