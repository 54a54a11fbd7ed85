"""Pages of rollouts: choose clusters, read the plan, start, follow and cancel."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Page as Rows
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from clusters import rollouts
from clusters.filters import RolloutFilter
from clusters.forms import RolloutForm
from clusters.models import Cluster, Rollout, RolloutStep
from clusters.rollout_plans import RolloutPlan, plan_rollout
from clusters.states import RolloutState, StepState
from vbase_console.core.errors import InvalidArgument
from vbase_console.organizations.scopes import GET_CLUSTER, SCALE_CLUSTER
from vbase_console.organizations.tenancy import is_storable
from vbase_console.tasks.models import Task
from vbase_console.web.forms import FormPage
from vbase_console.web.lists import ListPage
from vbase_console.web.views import Page

NOTHING_SELECTED = "Select at least one cluster."
REMAINING = (StepState.FAILED, StepState.CANCELLED, StepState.NOT_BEGUN)


class RolloutListView(ListPage):
    scopes = {"GET": GET_CLUSTER}
    template_name = "clusters/rollout_list.html"
    table_name = "clusters/partials/rollout_table.html"
    filter_class = RolloutFilter
    nav = "clusters"

    def rows(self) -> QuerySet[Any]:
        return Rollout.objects.visible_to(self.principal).with_counts()

    def table_context(self, rows: Rows[Any]) -> dict[str, Any]:
        return {"reload": any(rollout.state == RolloutState.RUNNING for rollout in rows)}


class RolloutPage(Page):
    scopes = {"GET": GET_CLUSTER}
    nav = "clusters"

    @cached_property
    def rollout(self) -> Rollout:
        key = self.kwargs["rollout_id"]
        return Rollout.objects.get_visible(self.principal, rollout_id=key)

    @cached_property
    def steps(self) -> list[RolloutStep]:
        return list(self.rollout.steps.select_related("cluster").order_by("position"))

    @property
    def address(self) -> str:
        name = self.principal.organization_name
        return reverse("rollout-detail", args=[name, self.rollout.rollout_id])

    def context(self) -> dict[str, Any]:
        running = [step.task_id for step in self.steps if step.state == StepState.RUNNING]
        may_change = self.principal.may(SCALE_CLUSTER)
        waits = any(step.state == StepState.WAITING for step in self.steps)
        return {
            "rollout": self.rollout,
            "steps": self.steps,
            "summary": rollouts.summary_of(self.steps),
            "task": Task.objects.visible_to(self.principal).filter(task_id__in=running).first(),
            "may_cancel": may_change and waits,
            "remaining": self.remaining if may_change else "",
            "reload": self.rollout.state == RolloutState.RUNNING,
            "back": self.address,
        }

    @property
    def remaining(self) -> str:
        """Address of the plan for the clusters that were not upgraded. Empty if there is none."""
        ids = [step.cluster_id for step in self.steps if step.state in REMAINING]
        if not ids or self.rollout.state == RolloutState.RUNNING:
            return ""
        query = urlencode({"id": ids, "version": self.rollout.version}, doseq=True)
        address = reverse("rollout-create", args=[self.principal.organization_name])
        return f"{address}?{query}"


class RolloutDetailView(RolloutPage):
    template_name = "clusters/rollout_detail.html"


class RolloutCancelView(FormPage, RolloutPage):
    scopes = {"GET": SCALE_CLUSTER, "POST": SCALE_CLUSTER}
    action = "CancelRollout"
    template_name = "clusters/rollout_cancel.html"

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        rollouts.cancel_rollout(self.rollout, by=self.principal.label)
        return redirect(self.address)


class RolloutCreateView(FormPage):
    """GET shows the plan for the selected clusters, those with the least data first. POST starts
    the rollout in the order of the plan.
    """

    scopes = {"GET": SCALE_CLUSTER, "POST": SCALE_CLUSTER}
    action = "CreateRollout"
    form_class = RolloutForm
    template_name = "clusters/rollout_create.html"
    nav = "clusters"

    @property
    def query(self) -> QueryDict:
        return self.request.POST if self.request.method == "POST" else self.request.GET

    @cached_property
    def cluster_ids(self) -> list[str]:
        ids = dict.fromkeys(filter(is_storable, self.query.getlist("id")))
        return list(ids)[: rollouts.MAX_CLUSTERS]

    @cached_property
    def clusters(self) -> list[Cluster]:
        visible = Cluster.objects.alive().visible_to(self.principal)
        return list(visible.filter(pk__in=self.cluster_ids).order_by("name"))

    @cached_property
    def plan(self) -> RolloutPlan:
        plan = plan_rollout(
            self.principal,
            self.clusters,
            version=self.chosen.get("version", ""),
            backup_first=self.chosen.get("backup") != "none",
        )
        return plan.smallest_first()

    @property
    def chosen(self) -> dict[str, str]:
        given = ((name, self.query.get(name, "")) for name in RolloutForm.base_fields)
        return {name: text for name, text in given if text and is_storable(text)}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.clusters:
            messages.error(request, NOTHING_SELECTED)
            return redirect("cluster-list", self.principal.organization_name)
        return super().get(request, *args, **kwargs)

    def context(self) -> dict[str, Any]:
        return {
            "plan": self.plan,
            "backs_up": self.chosen.get("backup") != "none",
            "selected": self.clusters,
            "back": reverse("cluster-list", args=[self.principal.organization_name]),
        }

    def name_objects(self, message: str) -> str:
        for cluster in self.clusters:
            message = message.replace(f"{cluster.cluster_id}: ", "")
            message = message.replace(cluster.cluster_id, cluster.name)
        return message

    def prepare(self) -> None:
        super().prepare()
        if not self.cluster_ids:
            raise InvalidArgument(NOTHING_SELECTED)

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        rollout = rollouts.create_rollout(
            self.principal,
            cluster_ids=self.cluster_ids,
            version=given["version"],
            backup_first=given["backup"] != "none",
        )
        self.object_id = rollout.rollout_id
        return redirect("rollout-detail", self.principal.organization_name, rollout.rollout_id)
