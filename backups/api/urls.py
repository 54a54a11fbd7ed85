"""URLs under /v1/vbase. Paths with fixed words precede those that begin with an id."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from backups.api import backups, jobs

OF_SERVICE = "<str:service_id>/backup"
ONE = f"{OF_SERVICE}/<str:backup_name>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(
        "backup/org/<str:organization_id>", jobs.ListBackupByOrg.as_view(), name="api-jobs-by-org"
    ),
    path("jobs/<str:job_id>", jobs.OneJob.as_view(), name="api-job"),
    path("jobs/<str:job_id>/cancel", jobs.CancelJob.as_view(), name="api-job-cancel"),
    path("jobs/<str:job_id>/retry", jobs.RetryJob.as_view(), name="api-job-retry"),
    path(OF_SERVICE, backups.Backups.as_view(), name="api-backups"),
    path(f"{OF_SERVICE}/restore", backups.RestoreBackup.as_view(), name="api-backup-restore"),
    path(ONE, backups.OneBackup.as_view(), name="api-backup"),
    path(f"{ONE}/download", backups.DownloadBackup.as_view(), name="api-backup-download"),
    path(f"{ONE}/verify", backups.VerifyBackup.as_view(), name="api-backup-verify"),
    path(f"{ONE}/pin", backups.PinBackup.as_view(), name="api-backup-pin"),
    path(f"{ONE}/unpin", backups.UnpinBackup.as_view(), name="api-backup-unpin"),
]
