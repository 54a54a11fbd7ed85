"""Page that clones a cluster from its backups."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups import observers
from backups.forms import CloneForm
from backups.services.new_clusters import (
    CloneOffer,
    RestoreIntoNewCluster,
    clone_offer,
    free_cluster_name,
    plan_into_new_cluster,
    resources_like,
)
from backups.services.restores import restore_options
from backups.views.presenters import is_takeable
from clusters.driver import default_driver
from clusters.views.detail import ClusterPage
from vbase_console.organizations.scopes import CREATE_BACKUP, CREATE_CLUSTER, RESTORE_BACKUP
from vbase_console.web.forms import FormPage


class ClusterCloneView(FormPage, ClusterPage):
    """Create a cluster from one backup of each chosen database."""

    scopes = {"GET": RESTORE_BACKUP, "POST": RESTORE_BACKUP}
    action = "RestoreBackup"
    form_class: ClassVar[type[forms.Form]] = CloneForm
    bound: CloneForm
    template_name = "backups/clone.html"
    planned: RestoreIntoNewCluster

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.principal.require(CREATE_CLUSTER)
        return super().get(request, *args, **kwargs)

    @cached_property
    def offer(self) -> CloneOffer:
        inventory = observers.known_collections_of(self.principal, self.cluster)
        return clone_offer(self.principal, self.cluster, inventory)

    @cached_property
    def resources(self) -> dict[str, Any]:
        return resources_like(self.cluster)

    def form_arguments(self) -> dict[str, Any]:
        name = free_cluster_name(self.principal, self.cluster, "clone")
        units = self.resources.get("compute_units", 1)
        return {"offer": self.offer, "initial": {"name": name, "compute_units": units}}

    def context(self) -> dict[str, Any]:
        may_back_up = is_takeable(self.cluster) and self.principal.may(CREATE_BACKUP)
        version = self.resources.get("version") or default_driver().capabilities.versions[0]
        return super().context() | {
            "offer": self.offer,
            "takeable": may_back_up,
            "other_version": version if version != self.cluster.version else "",
        }

    def prepare(self) -> None:
        self.principal.require(CREATE_CLUSTER)
        super().prepare()
        with_roles = self.bound.backup_with_roles
        self.planned = plan_into_new_cluster(
            self.principal,
            self.bound.new_cluster(self.resources),
            [
                (backup, restore_options(backup, restore_access_control=backup == with_roles))
                for backup in self.bound.chosen
            ],
        )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        first, *others = self.planned.submit(self.principal)
        self.object_id, self.operation_id = first.cluster.service_id, first.task.task_id
        self.record("CreateCluster", first.cluster_id)
        for job in others:
            self.record(self.action, first.cluster.service_id, detail=job.task.task_id)
        organization = self.principal.organization_name
        if others:
            return redirect("cluster-detail", organization, first.cluster_id)
        return redirect("job-detail", organization, first.task.task_id)
