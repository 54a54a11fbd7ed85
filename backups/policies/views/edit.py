"""Form of a policy with a preview. Changes that delete backups must be confirmed."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from backups.discovery import discover
from backups.forms import MAX_CHECKBOXES
from backups.policies import observers, services
from backups.policies.forms import (
    CHOSEN,
    SCHEDULE,
    TYPED_SCHEDULE,
    PolicyForm,
    shown_in_form,
)
from backups.policies.models import BackupPolicy
from backups.policies.observers import CollectionKey
from backups.policies.preview import RetentionPreview, preview
from backups.policies.validation import PolicySpec
from backups.policies.views.detail import PolicyPage
from backups.policies.views.preview import MAX_NAMES, SCHEDULES, preview_schedule, zones
from clusters.models import Cluster
from clusters.views.detail import ClusterPage
from clusters.views.presenters import digest
from vbase_console.core.errors import ConsoleError, InvalidArgument, NotFound
from vbase_console.organizations.scopes import CREATE_BACKUP_POLICY, UPDATE_BACKUP_POLICY
from vbase_console.web.errors import ConfirmationRequired
from vbase_console.web.forms import FormPage, raw_values
from vbase_console.web.views import wants_fragment


class LossesNotConfirmed(ConfirmationRequired):
    """The change would delete backups or uncover collections and is not confirmed yet."""

    def __init__(self, expiring: list[RetentionPreview], uncovered: list[CollectionKey]) -> None:
        self.expiring, self.uncovered = expiring, uncovered
        self.mark = digest([[backup.backup_id for backup in expiring], uncovered])
        super().__init__()

    def context(self) -> dict[str, Any]:
        return {
            "mark": self.mark,
            "expiring": self.expiring,
            "named_expiring": self.expiring[:MAX_NAMES],
            "more_expiring": max(0, len(self.expiring) - MAX_NAMES),
            "uncovered": self.uncovered,
            "named_uncovered": self.uncovered[:MAX_NAMES],
            "more_uncovered": max(0, len(self.uncovered) - MAX_NAMES),
        }


class PolicyFormPage(FormPage):
    template_name: ClassVar[str] = "policies/form.html"
    form_class: ClassVar[type[forms.Form]] = PolicyForm
    bound: PolicyForm
    edited: BackupPolicy | None = None

    @property
    def policy_cluster(self) -> Cluster:
        raise NotImplementedError

    def initial_values(self) -> dict[str, Any]:
        return {}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(form=PolicyForm(initial=self.initial_values()))

    def prepare(self) -> None:
        """Ask the cluster before any row is locked, after the access check."""
        cluster = self.policy_cluster
        super().prepare()
        db_name = self.bound.cleaned_data["db_name"]
        if self.edited is not None and self.edited.db_name == db_name:
            return
        try:
            services.look_for_database(cluster, db_name)
        except NotFound as error:
            raise InvalidArgument(field_errors={"db_name": [error.message]}) from error

    def form_context(self, form: PolicyForm) -> dict[str, Any]:
        """Offer the databases and collections of the cluster in the form, and preview its schedule.
        If the cluster does not answer, the user types the names.
        """
        discovery = discover(self.policy_cluster, str(form["db_name"].value() or ""))
        form.offer(discovery.databases, discovery.collections)
        typed = {name: form[name].value() for name in TYPED_SCHEDULE}
        return {
            "discovery": discovery,
            "schedule": preview_schedule(typed, self.edited),
            "max_checkboxes": MAX_CHECKBOXES,
            "schedules": SCHEDULES,
            "zones": zones(),
        }

    def error_response(self, error: ConsoleError) -> HttpResponseBase:
        if isinstance(error, LossesNotConfirmed):
            return self.page(form=self.bound, status=409, **error.context())
        return super().error_response(error)

    def page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        if "mark" not in more and "discovery" not in more:
            more |= self.form_context(more["form"])
        return super().page(status=status, **more)


class PolicyCreateView(PolicyFormPage, ClusterPage):
    scopes = {"GET": CREATE_BACKUP_POLICY, "POST": CREATE_BACKUP_POLICY}
    action = "CreateBackupPolicy"
    nav = "policies"

    @property
    def policy_cluster(self) -> Cluster:
        return self.cluster

    def initial_values(self) -> dict[str, Any]:
        database = self.request.GET.get("db_name")
        names = self.request.GET.getlist("collections")[:MAX_CHECKBOXES]
        chosen: dict[str, Any] = {"which": CHOSEN, "collection_names": names} if names else {}
        chosen |= {"timezone": self.cluster.organization.timezone}
        return chosen | ({"db_name": database} if database else {})

    def context(self) -> dict[str, Any]:
        return super().context() | {
            "back": self.address("cluster-policy-list"),
            "save_address": self.address("policy-create"),
            "preview_address": self.address("policy-create-preview"),
        }

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        policy = services.create_policy(self.cluster, PolicySpec(**self.bound.spec_fields()))
        self.object_id = policy.policy_id
        return redirect("policy-detail", self.principal.organization_name, policy.policy_id)


class PolicyEditView(PolicyFormPage, PolicyPage):
    scopes = {"GET": UPDATE_BACKUP_POLICY, "POST": UPDATE_BACKUP_POLICY}
    action = "UpdateBackupPolicy"

    @property
    def policy_cluster(self) -> Cluster:
        return self.policy.cluster

    @property
    def edited(self) -> BackupPolicy:  # type: ignore[override]
        return self.policy

    def initial_values(self) -> dict[str, Any]:
        """Initial values of the policy. Another database clears the collections."""
        values = shown_in_form(self.policy)
        database = self.request.GET.get("db_name", values["db_name"])
        if database != values["db_name"]:
            values |= {"db_name": database, "collection_names": [], "others": ""}
        return values

    def context(self) -> dict[str, Any]:
        return super().context() | {
            "save_address": reverse("policy-edit", args=self.address),
            "preview_address": reverse("policy-preview", args=self.address),
        }

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        changes = self.bound.spec_fields()
        self.require_confirmation(changes)
        services.update_policy(self.policy, **changes)
        messages.success(self.request, "Saved.")
        return self.to_policy()

    def require_confirmation(self, changes: dict[str, Any]) -> None:
        """Raise LossesNotConfirmed unless the user has confirmed exactly these losses."""
        expiring = self.newly_expiring({name: changes[name] for name in SCHEDULE})
        uncovered = observers.coverage_lost(
            self.policy, db_name=changes["db_name"], collection_names=changes["collection_names"]
        )
        losses = LossesNotConfirmed(expiring, uncovered)
        if (expiring or uncovered) and self.request.POST.get("confirmed") != losses.mark:
            raise losses

    def newly_expiring(self, schedule: dict[str, Any]) -> list[RetentionPreview]:
        """Backups that only the changed schedule or count would delete."""
        after = PolicySpec(**schedule)
        before = dataclasses.replace(after, retention_count=self.policy.retention_count)
        expired_before, expired_after = (
            preview(spec, policy=self.policy).would_expire for spec in (before, after)
        )
        expired_anyway = {backup.backup_id for backup in expired_before}
        return [backup for backup in expired_after if backup.backup_id not in expired_anyway]


class PreviewPage(PolicyFormPage):
    """Preview while the user types. Without JavaScript a button re-renders the whole form."""

    changes = False

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not wants_fragment(self.request):
            return redirect(self.context()["save_address"])
        schedule = preview_schedule(request.GET.dict(), self.edited)
        return self.fragment(
            "policies/partials/preview_answer.html", policy=self.edited, schedule=schedule
        )

    def prepare(self) -> None:
        self.form = PolicyForm(initial=raw_values(PolicyForm, self.request.POST))
        self.prepared = self.form_context(self.form)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(form=self.form, **self.prepared)


class PolicyCreatePreviewView(PreviewPage, PolicyCreateView):
    pass


class PolicyPreviewView(PreviewPage, PolicyEditView):
    pass
