"""Page that creates a backup: choose a database and collections of a cluster."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups import observers
from backups.discovery import DiscoveredCollection, collections_of, databases_of
from backups.forms import MAX_CHECKBOXES, TakeForm
from backups.names import DEFAULT_DATABASE
from backups.services.backups import plan_backup
from backups.states import JobKind
from clusters.admission import require_running
from clusters.views.detail import ClusterPage
from vbase_console.core.errors import ConsoleError, PermissionDenied
from vbase_console.organizations.scopes import CREATE_BACKUP
from vbase_console.web.errors import status_of
from vbase_console.web.forms import FormPage, SelectAllMixin, add_errors


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscoveryResult:
    """Databases and collections of a cluster, or the problem that prevents reading them."""

    databases: list[str] = dataclasses.field(default_factory=list)
    collections: list[DiscoveredCollection] = dataclasses.field(default_factory=list)
    problem: ConsoleError | None = None


class TakeView(FormPage, ClusterPage):
    scopes = {"GET": CREATE_BACKUP, "POST": CREATE_BACKUP}
    action = "CreateBackup"
    form_class = TakeForm
    template_name = "backups/take.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(form=TakeForm(**self.form_arguments()) if self.look.collections else None)

    @property
    def database(self) -> str:
        asked = self.request.POST if self.request.method == "POST" else self.request.GET
        return asked.get("db_name") or DEFAULT_DATABASE

    @cached_property
    def look(self) -> DiscoveryResult:
        try:
            require_running(self.cluster, JobKind.BACKUP)
            databases = databases_of(self.cluster)
            collections = collections_of(self.cluster, self.database)
            names = {self.database: [collection.name for collection in collections]}
            observers.collections_seen(self.cluster, names)
            return DiscoveryResult(databases=databases, collections=collections)
        except ConsoleError as error:
            return DiscoveryResult(problem=error)

    def form_arguments(self) -> dict[str, Any]:
        return {
            "offered": [(each.name, each.rows) for each in self.look.collections],
            "initial": {"db_name": self.database},
        }

    def context(self) -> dict[str, Any]:
        about = {"seen": self.look, "database": self.database, "most": MAX_CHECKBOXES}
        return super().context() | about

    def prepare(self) -> None:
        """Query the cluster before the transaction begins."""
        if self.look.problem is not None:
            raise self.look.problem
        super().prepare()
        given = self.bound.cleaned_data
        self.planned = plan_backup(
            self.cluster,
            db_name=given["db_name"],
            collection_names=self.bound.chosen,  # type: ignore[attr-defined]
            backup_name=given["backup_name"],
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
        return self.page(form=bound, status=status_of(error))


class TakeTickView(SelectAllMixin, TakeView):
    @property
    def form_address(self) -> str:
        return self.address("backup-take")
