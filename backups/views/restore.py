"""Pages that restore a backup: choose, preview and confirm."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from backups.forms import RestoreForm, offered_by
from backups.services.locks import require_available
from backups.services.restores import (
    free_suffix,
    plan_restore,
    preview_restore,
    tasks_before,
)
from backups.views.detail import BackupPage
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import ConsoleError, PermissionDenied
from vbase_console.organizations.scopes import RESTORE_BACKUP
from vbase_console.web.forms import FormPage, SelectAllMixin, add_errors

MAX_TARGETS = 500
KEPT_FIELDS = ("target", "db_name", "on_conflict", "suffix", "restore_access_control")
"""Fields that the link back to the form keeps."""


class RestoreView(FormPage, BackupPage):
    """GET shows the form of a restore; POST shows its preview."""

    scopes = {"GET": RESTORE_BACKUP, "POST": RESTORE_BACKUP}
    changes: ClassVar[bool] = False
    form_class: ClassVar[type[forms.Form]] = RestoreForm
    bound: RestoreForm
    template_name = "backups/restore.html"

    @cached_property
    def targets(self) -> list[Cluster]:
        running = Cluster.objects.should_run().filter(condition=Condition.RUNNING)
        return list(running.visible_to(self.principal).order_by("name")[:MAX_TARGETS])

    def form_arguments(self) -> dict[str, Any]:
        query = self.request.GET
        initial: dict[str, Any] = {
            "target": self.backup.cluster_id,
            "db_name": self.backup.db_name,
        }
        if self.request.method == "GET" and "suffix" not in query:
            source = self.backup.cluster
            initial["suffix"] = free_suffix(self.backup, source, self.backup.db_name)
        return {
            "offered": offered_by(self.backup),
            "targets": self.targets,
            "offers_access_control": self.backup.has_access_control,
            "initial": initial | {name: query[name] for name in KEPT_FIELDS if name in query},
        }

    def context(self) -> dict[str, Any]:
        return super().context() | {"targets": self.targets}

    @property
    def target(self) -> Cluster:
        return Cluster.objects.get_visible(
            self.principal, cluster_id=self.bound.cleaned_data["target"]
        )

    def prepare(self) -> None:
        require_available(self.backup)
        super().prepare()
        self.check_target(self.target)

    def check_target(self, target: Cluster) -> None:
        self.preflight = preview_restore(self.backup, target, **self.bound.options())

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        entered = {name: given[name] for name in KEPT_FIELDS if given.get(name)}
        return self.page(
            form=self.bound,
            preflight=self.preflight,
            target=self.target,
            total_rows=sum(step.rows for step in self.preflight.steps),
            total_bytes=sum(step.bytes for step in self.preflight.steps),
            replaced=sum(step.replaces for step in self.preflight.steps),
            waits_for=tasks_before(self.target).visible_to(self.principal)[:1],
            back=f"{reverse('backup-restore', args=self.address)}?{urlencode(entered)}",
        )

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        """Show the refusal in the form, also for a collection that was dropped meanwhile."""
        if isinstance(error, PermissionDenied) or "backup" not in self.__dict__:
            return super().error_response(error)
        bound = getattr(self, "bound", None)
        if bound is None:
            return FormPage.error_response(self, error)
        add_errors(bound, error)
        return self.refused_page(bound, error)


class RestoreSelectView(SelectAllMixin, RestoreView):
    @property
    def form_address(self) -> str:
        return reverse("backup-restore", args=self.address)


class RestoreConfirmView(RestoreView):
    """Submit the previewed restore after checking it again."""

    action = "RestoreBackup"
    changes = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return redirect("backup-restore", *self.address)

    def check_target(self, target: Cluster) -> None:
        self.object_id = target.service_id
        self.planned = plan_restore(self.backup, target, **self.bound.options())

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        job = self.planned.submit(by=self.principal.label)
        self.operation_id = job.task.task_id
        return redirect("job-detail", self.principal.organization_name, job.task.task_id)
