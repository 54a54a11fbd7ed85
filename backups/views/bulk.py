"""Actions on several backups of a list, with one confirmation."""

from __future__ import annotations

from typing import Any

from backups.models import Backup
from backups.services.backups import delete_backup, set_pinned, verify_backup
from clusters.forms import TypedNameForm
from vbase_console.organizations.scopes import CREATE_BACKUP, DELETE_BACKUP
from vbase_console.web.bulk import BulkPage


class BackupBulkPage(BulkPage):
    scopes = {"GET": CREATE_BACKUP, "POST": CREATE_BACKUP}
    noun = "backup"
    nav = "backups"
    list_page = "backup-list"
    next_page = "operation-list"

    def rows(self, ids: list[str]) -> list[Any]:
        own = Backup.objects.present().visible_to(self.principal).select_related("cluster")
        return list(own.filter(pk__in=ids).order_by("cluster_id", "pk"))


class BackupBulkVerifyView(BackupBulkPage):
    action = "VerifyBackup"
    title = "Verify"
    says = "Every byte is read and compared with the recorded checksums. Nothing is changed."

    def act(self, row: Any) -> str:
        return str(verify_backup(row, by=self.principal.label).task.task_id)


class BackupBulkPinView(BackupBulkPage):
    action = "PinBackup"
    title = "Pin"
    says = "Pinned backups are kept: neither retention nor a user can delete them."
    next_page = "backup-list"

    def act(self, row: Any) -> str:
        set_pinned(row, pinned=True)
        return ""


class DeleteBackupsForm(TypedNameForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["typed_name"].label = "Confirmation"


class BackupBulkDeleteView(BackupBulkPage):
    scopes = {"GET": DELETE_BACKUP, "POST": DELETE_BACKUP}
    action = "DeleteBackup"
    title = "Delete"
    form_class = DeleteBackupsForm
    is_destructive = True

    @property
    def says(self) -> str:  # type: ignore[override]
        return f"Type {self.typed} to confirm."

    @property
    def lost(self) -> list[str]:
        rows = sum(backup.row_count or 0 for backup in self.selected)
        return [
            f"these backups, with {rows:,} rows. They cannot be restored afterwards, and this "
            "cannot be undone."
        ]

    @property
    def kept(self) -> list[str]:
        return [
            "the clusters and their data, and all other backups",
            "selected backups that are pinned or in use",
        ]

    @property
    def typed(self) -> str:
        return f"delete {len(self.selected)}"

    def form_arguments(self) -> dict[str, Any]:
        return {"name": self.typed}

    def act(self, row: Any) -> str:
        return str(delete_backup(row, by=self.principal.label).task.task_id)
