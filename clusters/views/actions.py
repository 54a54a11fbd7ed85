"""Pages that change a cluster. Each view is a form and one service."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import messages
from django.forms import Form
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from clusters import forms, services
from clusters.admission import unfinished, unfinished_of_other_apps
from clusters.attach import (
    CONNECTION_FIELDS,
    ConnectionChange,
    address_fields_of,
    attach_cluster,
    change_connection,
    changes_address,
    plan_connection,
    plan_connection_change,
)
from clusters.driver import capabilities_of, default_driver
from clusters.drivers.base import Connection
from clusters.models import Cluster
from clusters.protection import Protection, protection_of
from clusters.upgrade_plans import UpgradePlan, plan_of
from clusters.views.detail import ClusterPage
from clusters.views.presenters import address_of, connectable
from vbase_console.organizations.scopes import (
    CREATE_CLUSTER,
    DELETE_BACKUP,
    DELETE_CLUSTER,
    SCALE_CLUSTER,
)
from vbase_console.tasks.models import Task
from vbase_console.web.forms import FormPage

SCALING = {"GET": SCALE_CLUSTER, "POST": SCALE_CLUSTER}


class NewClusterPage(FormPage):
    scopes = {"GET": CREATE_CLUSTER, "POST": CREATE_CLUSTER}
    nav = "clusters"

    def context(self) -> dict[str, Any]:
        return {"back": reverse("cluster-list", args=[self.principal.organization_name])}

    def created(self, cluster: Cluster, task: Task) -> HttpResponseBase:
        self.object_id, self.operation_id = cluster.cluster_id, task.task_id
        return redirect("cluster-detail", self.principal.organization_name, cluster.cluster_id)


class ClusterCreatePage(NewClusterPage):
    action = "CreateCluster"
    form_class: ClassVar[type[Form]] = forms.CreateForm
    template_name = "clusters/cluster_create.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"capabilities": default_driver().capabilities}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        cluster, task = services.create_cluster(
            self.principal,
            name=given["name"],
            resources=self.bound.changes(),  # type: ignore[attr-defined]
            labels=given["labels"],
            deletion_protection=given["deletion_protection"],
        )
        return self.created(cluster, task)


class ClusterAttachPage(NewClusterPage):
    action = "AttachCluster"
    form_class: ClassVar[type[Form]] = forms.AttachForm
    template_name = "clusters/cluster_attach.html"
    connection: Connection

    def prepare(self) -> None:
        super().prepare()
        given = self.bound.cleaned_data
        self.connection = plan_connection(**{name: given[name] for name in CONNECTION_FIELDS})

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        cluster, task = attach_cluster(
            self.principal,
            name=given["name"],
            connection=self.connection,
            labels=given["labels"],
            deletion_protection=given["deletion_protection"],
        )
        return self.created(cluster, task)


class ClusterChange(FormPage, ClusterPage):
    """Change of one cluster. The cluster's page then shows the progress."""

    scopes = SCALING
    template_name: ClassVar[str] = "clusters/cluster_confirm.html"

    def accepted(self, task: Task) -> HttpResponseBase:
        self.operation_id = task.task_id
        return self.to_cluster()

    @property
    def by(self) -> str:
        return self.principal.label


class ClusterEditView(ClusterChange):
    action = "UpdateCluster"
    form_class = forms.IdentityForm
    template_name = "clusters/cluster_edit.html"

    def form_arguments(self) -> dict[str, Any]:
        names = ("name", "labels", "deletion_protection")
        return {"initial": {name: getattr(self.cluster, name) for name in names}}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.update_cluster(self.cluster, **given)
        messages.success(self.request, "Saved.")
        return self.to_cluster()


class ClusterConnectionView(ClusterChange):
    action = "UpdateCluster"
    form_class = forms.ChangeConnectionForm
    template_name = "clusters/cluster_connection.html"
    change: ConnectionChange

    def form_arguments(self) -> dict[str, Any]:
        return {"initial": address_fields_of(self.cluster)}

    def prepare(self) -> None:
        """Check the connection before the transaction, because the server may take seconds."""
        super().prepare()
        changes = self.bound.changes()  # type: ignore[attr-defined]
        if changes_address(self.cluster, changes):
            self.principal.require(CREATE_CLUSTER)
        self.change = plan_connection_change(self.cluster, changes)

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        change_connection(self.cluster, self.change)
        messages.success(self.request, "The server answered. The connection is changed.")
        return self.to_cluster()


class ClusterScaleView(ClusterChange):
    action = "ScaleCluster"
    form_class = forms.ResourcesForm
    template_name = "clusters/cluster_scale.html"

    def form_arguments(self) -> dict[str, Any]:
        return {
            "capabilities": capabilities_of(self.cluster),
            "initial": forms.initial_resources(self.cluster),
        }

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        changes = self.bound.changes()  # type: ignore[attr-defined]
        return self.accepted(services.scale_cluster(self.cluster, changes=changes, by=self.by))


class ClusterUpgradeView(ClusterChange):
    action = "ScaleCluster"
    form_class = forms.UpgradeForm
    template_name = "clusters/cluster_upgrade.html"

    def form_arguments(self) -> dict[str, Any]:
        return {
            "versions": [choice.version for choice in self.plan.choices],
            "backs_up": self.plan.backs_up,
        }

    def context(self) -> dict[str, Any]:
        return super().context() | {"plan": self.plan}

    @cached_property
    def plan(self) -> UpgradePlan:
        return plan_of(self.cluster)

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        task = services.scale_cluster(
            self.cluster,
            changes={"version": given["version"]},
            by=self.by,
            backup_first=given.get("backup_first", True),
        )
        return self.accepted(task)


class ClusterGoBackView(ClusterChange):
    """Go back to the version before the last upgrade. GET names what would be lost."""

    action = "GoBackCluster"
    form_class = forms.GoBackForm
    template_name = "clusters/cluster_go_back.html"

    def form_arguments(self) -> dict[str, Any]:
        return {"backs_up": capabilities_of(self.cluster).stores_rows}

    def context(self) -> dict[str, Any]:
        plan = plan_of(self.cluster, counts_rows=self.request.method == "GET")
        return super().context() | {"plan": plan.go_back}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        task = services.go_back(
            self.cluster, by=self.by, backup_first=given.get("backup_first", True)
        )
        return self.accepted(task)


class ClusterRestartView(ClusterChange):
    action = "RestartCluster"
    template_name = "clusters/cluster_restart.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        return self.accepted(services.restart_cluster(self.cluster, by=self.by))


class ClusterStopView(ClusterChange):
    action = "StopCluster"
    template_name = "clusters/cluster_stop.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        return self.accepted(services.stop_cluster(self.cluster, by=self.by))


class ClusterStartView(ClusterChange):
    action = "StartCluster"
    template_name = "clusters/cluster_start.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        return self.accepted(services.start_cluster(self.cluster, by=self.by))


class ClusterRotateView(ClusterChange):
    action = "RotateServiceAccess"
    template_name = "clusters/cluster_rotate.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.rotate_token(self.cluster)
        messages.success(self.request, "Token rotated. Update your clients.")
        return self.to_cluster()


class ClusterDeletePage(ClusterChange):
    scopes = {"GET": DELETE_CLUSTER, "POST": DELETE_CLUSTER}
    action = "DeleteCluster"
    form_class = forms.ClusterDeleteForm
    template_name = "clusters/cluster_confirm_delete.html"

    @cached_property
    def protection(self) -> Protection:
        return protection_of([self.cluster.pk])[self.cluster.pk]

    def form_arguments(self) -> dict[str, Any]:
        has_backups = self.protection.last_backup_at is not None
        return {"name": self.cluster.name, "has_backups": has_backups}

    def context(self) -> dict[str, Any]:
        endpoint = address_of(self.cluster) if connectable(self.cluster) else ""
        stopped = [*unfinished(self.cluster), *unfinished_of_other_apps(self.cluster)]
        return super().context() | {
            "endpoint": endpoint,
            "overtaken": stopped,
            "protection": self.protection,
        }

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        delete_backups = given.get("delete_backups", False)
        if delete_backups:
            self.principal.require(DELETE_BACKUP)
        task, message = services.delete_cluster(
            self.cluster, by=self.by, delete_backups=delete_backups
        )
        change = "detached" if self.cluster.is_attached else "deleted"
        messages.info(self.request, f"{self.cluster.name} is being {change}. {message}".strip())
        return self.accepted(task)
