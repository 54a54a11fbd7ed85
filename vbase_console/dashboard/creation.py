"""Creation of clusters together with the first policy, which the clusters app does not know."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.http.response import HttpResponseBase

from backups.policies.presets import DAILY, PRESETS
from backups.policies.services import create_policy
from backups.policies.validation import PolicySpec
from clusters.forms import AttachForm, CreateForm
from clusters.models import Cluster
from clusters.protection import is_registered
from clusters.views import actions
from vbase_console.organizations.models import Organization
from vbase_console.organizations.scopes import CREATE_BACKUP_POLICY
from vbase_console.tasks.models import Task


class ProtectionForm(forms.Form):
    """Choice of a schedule for the backups of a new cluster."""

    protection = forms.ChoiceField(
        label="Scheduled backups",
        required=False,
        initial=DAILY,
        choices=[
            *(
                (key, f"{preset.label}, keep {preset.retention_count}")
                for key, preset in PRESETS.items()
            ),
            ("", "None: this cluster is not backed up automatically"),
        ],
    )

    def __init__(self, *args: Any, may_protect: bool, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["protection"].help_text = (
            f"All collections, also future ones. Times are in {zone}. "
            "You can change the policy later."
        )
        if not may_protect:
            del self.fields["protection"]


class ProtectedCreateForm(ProtectionForm, CreateForm):
    pass


class ProtectedAttachForm(ProtectionForm, AttachForm):
    pass


class ProtectingPage(actions.NewClusterPage):
    """Create the policy in the transaction of the cluster, so that neither exists alone."""

    def form_arguments(self) -> dict[str, Any]:
        may_protect = is_registered() and self.principal.may(CREATE_BACKUP_POLICY)
        return super().form_arguments() | {"may_protect": may_protect, "zone": self.zone}

    @cached_property
    def zone(self) -> str:
        return Organization.objects.get(pk=self.principal.organization_id).timezone

    def created(self, cluster: Cluster, task: Task) -> HttpResponseBase:
        preset = PRESETS.get(self.bound.cleaned_data.get("protection", ""))
        if preset is not None:
            spec = PolicySpec(
                schedule_cron=preset.schedule_cron,
                retention_count=preset.retention_count,
                timezone=self.zone,
            )
            policy = create_policy(cluster, spec)
            self.record("CreateBackupPolicy", policy.policy_id)
        return super().created(cluster, task)


class ClusterCreateView(ProtectingPage, actions.ClusterCreatePage):
    form_class = ProtectedCreateForm


class ClusterAttachView(ProtectingPage, actions.ClusterAttachPage):
    form_class = ProtectedAttachForm
