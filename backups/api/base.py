from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework.response import Response

from backups.api.responses import BackupJobSerializer, BackupSerializer
from backups.models import Backup, BackupJob
from clusters.models import Cluster
from vbase_console.api.serializers import answer
from vbase_console.api.views import ApiView
from vbase_console.organizations.tenancy import TenantQuerySet


class BackupView(ApiView):
    def service(self, service_id: str) -> Cluster:
        return Cluster.objects.all().get_visible(self.principal, "service", service_id=service_id)

    def backup(self, service_id: str, backup_name: str) -> Backup:
        """Find a backup by its source service, which may be deleted."""
        rows = Backup.objects.present().select_related("cluster")
        return rows.get_visible(self.principal, name=backup_name, cluster__service_id=service_id)

    def jobs(self) -> TenantQuerySet[BackupJob]:
        rows = BackupJob.objects.select_related("task", "backup", "cluster")
        return rows.visible_to(self.principal)

    def backup_changed(self, backup: Backup) -> Response:
        address = reverse("api-backup", args=[backup.cluster.service_id, backup.name])
        return self.accepted(answer(backup=BackupSerializer.of(backup)), location=address)

    def job_accepted(self, job: BackupJob, body: dict[str, Any] | None = None) -> Response:
        task_id = job.task.task_id
        return self.accepted(
            body or answer(job=BackupJobSerializer.of(job)),
            operation_id=task_id,
            location=reverse("api-job", args=[task_id]),
        )
