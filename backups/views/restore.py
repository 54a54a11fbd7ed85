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

from backups.forms import NEW_CLUSTER, RestoreForm, offered_by
from backups.services.locks import require_available
from backups.services.new_clusters import (
    NewCluster,
    Restores,
    free_cluster_name,
    plan_into_new_cluster,
    preview_into_new_cluster,
    resources_like,
)
from backups.services.restores import (
    free_suffix,
    plan_restore,
    preview_restore,
    restore_options,
    tasks_before,
)
from backups.views.detail import BackupPage
from clusters.models import Cluster
from clusters.states import Condition
from vbase_console.core.errors import ConsoleError, PermissionDenied
from vbase_console.organizations.scopes import CREATE_CLUSTER, RESTORE_BACKUP
from vbase_console.web.forms import FormPage, SelectAllMixin, add_errors

MAX_TARGETS = 500
KEPT_FIELDS = (
    *("target", "name", "compute_units", "db_name"),
    *("on_conflict", "suffix", "restore_access_control"),
)
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

    @property
    def offers_new(self) -> bool:
        return self.principal.may(CREATE_CLUSTER)

    def form_arguments(self) -> dict[str, Any]:
        query, source = self.request.GET, self.backup.cluster
        is_source_running = any(cluster.pk == source.pk for cluster in self.targets)
        initial: dict[str, Any] = {
            "target": source.pk if is_source_running or not self.offers_new else NEW_CLUSTER,
            "db_name": self.backup.db_name,
            "compute_units": resources_like(source).get("compute_units", 1),
        }
        if self.request.method == "GET":
            if "suffix" not in query:
                initial["suffix"] = free_suffix(self.backup, source, self.backup.db_name)
            if self.offers_new and "name" not in query:
                initial["name"] = free_cluster_name(self.principal, source, "restored")
        return {
            "offered": offered_by(self.backup),
            "targets": self.targets,
            "offers_new": self.offers_new,
            "offers_access_control": self.backup.has_access_control,
            "initial": initial | {name: query[name] for name in KEPT_FIELDS if name in query},
        }

    def context(self) -> dict[str, Any]:
        return super().context() | {"targets": self.targets, "offers_new": self.offers_new}

    @property
    def target(self) -> Cluster:
        return Cluster.objects.get_visible(
            self.principal, cluster_id=self.bound.cleaned_data["target"]
        )

    @property
    def new_cluster(self) -> NewCluster:
        resources = resources_like(self.backup.cluster)
        return self.bound.new_cluster({"version": resources.get("version")})

    @property
    def restores(self) -> Restores:
        return [(self.backup, restore_options(self.backup, **self.bound.options()))]

    def prepare(self) -> None:
        require_available(self.backup)
        super().prepare()
        if self.bound.is_new:
            self.principal.require(CREATE_CLUSTER)
            self.check_new_cluster()
        else:
            self.check_target(self.target)

    def check_target(self, target: Cluster) -> None:
        self.preflight = preview_restore(self.backup, target, **self.bound.options())

    def check_new_cluster(self) -> None:
        (self.preflight,) = preview_into_new_cluster(
            self.principal, self.new_cluster, self.restores
        )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        entered = {name: given[name] for name in KEPT_FIELDS if given.get(name)}
        target = None if self.bound.is_new else self.target
        return self.page(
            form=self.bound,
            preflight=self.preflight,
            target_name=target.name if target else given["name"],
            is_new=target is None,
            total_rows=sum(step.rows for step in self.preflight.steps),
            total_bytes=sum(step.bytes for step in self.preflight.steps),
            replaced=sum(step.replaces for step in self.preflight.steps),
            waits_for=tasks_before(target).visible_to(self.principal)[:1] if target else (),
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

    def check_new_cluster(self) -> None:
        self.planned_cluster = plan_into_new_cluster(
            self.principal, self.new_cluster, self.restores
        )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        if self.bound.is_new:
            (job,) = self.planned_cluster.submit(self.principal)
            self.object_id = job.cluster.service_id
            self.record("CreateCluster", job.cluster_id)
        else:
            job = self.planned.submit(by=self.principal.label)
        self.operation_id = job.task.task_id
        return redirect("job-detail", self.principal.organization_name, job.task.task_id)
