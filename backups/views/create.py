"""Page that creates a backup: choose a database and collections of a cluster."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups import observers
from backups.discovery import DiscoveryResult, discover
from backups.forms import MAX_CHECKBOXES, CreateBackupForm
from backups.names import DEFAULT_DATABASE
from backups.services.backups import plan_backup
from clusters.views.detail import ClusterPage
from vbase_console.core.errors import ConsoleError, PermissionDenied
from vbase_console.organizations.scopes import CREATE_BACKUP
from vbase_console.web.forms import FormPage, SelectAllMixin, add_errors


class BackupCreateView(FormPage, ClusterPage):
    scopes = {"GET": CREATE_BACKUP, "POST": CREATE_BACKUP}
    action = "CreateBackup"
    form_class = CreateBackupForm
    template_name = "backups/backup_create.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        has_collections = bool(self.discovery.collections)
        return self.page(
            form=CreateBackupForm(**self.form_arguments()) if has_collections else None
        )

    @property
    def database(self) -> str:
        values = self.request.POST if self.request.method == "POST" else self.request.GET
        return values.get("db_name") or DEFAULT_DATABASE

    @cached_property
    def discovery(self) -> DiscoveryResult:
        result = discover(self.cluster, self.database)
        if result.collections is not None:
            names = [collection.name for collection in result.collections]
            observers.collections_seen(self.cluster, {self.database: names})
        return result

    def form_arguments(self) -> dict[str, Any]:
        return {
            "offered": [
                (collection.name, collection.rows)
                for collection in self.discovery.collections or ()
            ],
            "initial": {"db_name": self.database} | self.chosen(),
        }

    def chosen(self) -> dict[str, Any]:
        """Initial selection that the address asks for. Names without a checkbox are text."""
        names = self.request.GET.getlist("collections")
        if not names:
            return {}
        boxes = [
            collection.name for collection in (self.discovery.collections or ())[:MAX_CHECKBOXES]
        ]
        others = [name for name in names if name not in boxes]
        return {"collection_names": names, "others": "\n".join(others)}

    def context(self) -> dict[str, Any]:
        return super().context() | {
            "discovery": self.discovery,
            "database": self.database,
            "max_checkboxes": MAX_CHECKBOXES,
        }

    def prepare(self) -> None:
        if self.discovery.error is not None:
            raise self.discovery.error
        super().prepare()
        given = self.bound.cleaned_data
        self.planned = plan_backup(
            self.cluster,
            db_name=given["db_name"],
            collection_names=self.bound.chosen,  # type: ignore[attr-defined]
            backup_name=given["backup_name"],
            include_access_control=given["include_access_control"],
        )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        job = self.planned.submit(by=self.principal.label)
        self.object_id, self.operation_id = job.backup.name, job.task.task_id
        return redirect("job-detail", self.principal.organization_name, job.task.task_id)

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        """Show the refusal in the form, also for a collection that was dropped meanwhile."""
        if isinstance(error, PermissionDenied) or "cluster" not in self.__dict__:
            return super().error_response(error)
        bound = getattr(self, "bound", None)
        if bound is not None:
            add_errors(bound, error)
        return self.refused_page(bound, error)


class BackupCreateSelectView(SelectAllMixin, BackupCreateView):
    @property
    def form_address(self) -> str:
        return self.address("backup-take")
