"""Pages that verify, pin, unpin and delete a backup."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups import forms
from backups.models import Backup
from backups.services.backups import delete_backup, set_pinned, verify_backup
from backups.services.downloads import begin_download
from backups.services.locks import user_of
from backups.views.detail import BackupPage
from vbase_console.organizations.scopes import (
    CREATE_BACKUP,
    DELETE_BACKUP,
    GET_SERVICE_ACCESS,
    RESTORE_BACKUP,
)
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
    says = "Reads every byte of the backup and compares it with the recorded checksums."

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
        messages.success(self.request, "Backup pinned. It cannot be deleted until you unpin it.")
        return self.to_backup()


class BackupUnpinView(BackupChange):
    action = "UnpinBackup"
    title = "Unpin"
    says = "An unpinned backup can be deleted, also by the retention of its policy."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        set_pinned(self.backup, pinned=False)
        messages.success(self.request, "Backup unpinned. It can be deleted again.")
        return self.to_backup()


class BackupDownloadView(BackupPage):
    """Download of a backup, which reveals rows: a POST, so that each one is audited."""

    scopes = {"POST": RESTORE_BACKUP}
    action = "DownloadBackup"

    def prepare(self) -> None:
        self.principal.require(GET_SERVICE_ACCESS)
        self.download = begin_download(self.backup)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.download.response()


class BackupDeleteView(FormPage, BackupPage):
    scopes = {"GET": DELETE_BACKUP, "POST": DELETE_BACKUP}
    action = "DeleteBackup"
    form_class = forms.DeleteBackupForm
    template_name = "backups/backup_confirm_delete.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"name": self.backup.name}

    def context(self) -> dict[str, Any]:
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
        self.operation_id = job.task.task_id
        return redirect("job-detail", self.principal.organization_name, job.task.task_id)
