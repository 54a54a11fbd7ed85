"""Pages that verify, pin, unpin and delete a backup."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups import forms
from backups.models import Backup, BackupJob
from backups.services.backups import delete_backup, set_pinned, verify_backup
from backups.services.locks import user_of
from backups.views.detail import BackupPage
from vbase_console.organizations.scopes import CREATE_BACKUP, DELETE_BACKUP
from vbase_console.web.forms import FormPage


class BackupChange(FormPage, BackupPage):
    """Action on one backup. GET shows a confirmation; the buttons of the backup's page POST
    directly.
    """

    scopes = {"GET": CREATE_BACKUP, "POST": CREATE_BACKUP}
    template_name: ClassVar[str] = "backups/backup_confirm.html"
    title: ClassVar[str]
    says: ClassVar[str]

    def context(self) -> dict[str, Any]:
        return super().context() | {"does": self.title, "says": self.says}


class BackupVerifyView(BackupChange):
    action = "VerifyBackup"
    title = "Verify"
    says = "Every byte of its archive is read and compared with what was sealed."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        job = verify_backup(self.backup, by=self.principal.label)
        self.operation_id = job.task.task_id
        return self.to_backup()


class BackupPinView(BackupChange):
    action = "PinBackup"
    title = "Pin"
    says = "A pinned backup cannot be deleted."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        set_pinned(self.backup, pinned=True)
        messages.success(self.request, "Pinned: it cannot be deleted until it is unpinned.")
        return self.to_backup()


class BackupUnpinView(BackupChange):
    action = "UnpinBackup"
    title = "Unpin"
    says = "From then on it can be deleted."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        set_pinned(self.backup, pinned=False)
        messages.success(self.request, "Unpinned: it can be deleted.")
        return self.to_backup()


class BackupDeleteView(FormPage, BackupPage):
    scopes = {"GET": DELETE_BACKUP, "POST": DELETE_BACKUP}
    action = "DeleteBackup"
    form_class = forms.DeleteForm
    template_name = "backups/backup_confirm_delete.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"name": self.backup.name}

    def context(self) -> dict[str, Any]:
        """Add the other backups of the cluster that remain restorable."""
        own = Backup.objects.visible_to(self.principal).filter(cluster=self.backup.cluster_id)
        others = own.good().exclude(pk=self.backup.pk)
        proven = others.filter(proven_at__isnull=False)
        return super().context() | {
            "next": others.first(),
            "next_proven": proven.first(),
            "damaged": own.damaged().exclude(pk=self.backup.pk).count(),
            "used_by": user_of(self.backup),
        }

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        job = delete_backup(self.backup, by=self.principal.label)
        return self._to_job(job)

    def _to_job(self, job: BackupJob) -> HttpResponseBase:
        """Redirect to the job, because the backup's page ends with the deletion."""
        self.operation_id = job.task.task_id
        return redirect("job-detail", self.principal.organization_name, job.task.task_id)
