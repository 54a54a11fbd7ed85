"""What can be asked of one policy on pages; its form has a module of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups.models import Backup
from backups.policies import services
from backups.views.policies import PolicyPage
from backups.views.policies_shown import words_of
from vbase_console.organizations.scopes import (
    CREATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
    UPDATE_BACKUP_POLICY,
)
from vbase_console.pages.editing import FormPage

MOST_NAMED = 10


class PolicyChange(FormPage, PolicyPage):
    """One thing to ask of one policy; the buttons of its page confirm it at once."""

    scopes = {"GET": UPDATE_BACKUP_POLICY, "POST": UPDATE_BACKUP_POLICY}
    template_name: ClassVar[str] = "backups/policy_confirm.html"
    title: ClassVar[str]
    says: ClassVar[str]

    def context(self) -> dict[str, Any]:
        about = {"does": self.title, "says": self.says, "words": words_of(self.policy)}
        return super().context() | about


class PolicyPauseView(PolicyChange):
    action = "PauseBackupPolicy"
    title = "Pause"
    says = (
        "No run is planned until somebody resumes it. What it has made stays under its retention."
    )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.pause_policy(self.policy)
        messages.success(self.request, "Paused: it runs again when somebody resumes it.")
        return self.to_policy()


class PolicyResumeView(PolicyChange):
    action = "ResumeBackupPolicy"
    title = "Resume"
    says = "It runs again from the next planned instant on; nothing of the pause is made up for."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.resume_policy(self.policy)
        messages.success(self.request, "Resumed: it runs as its schedule says.")
        return self.to_policy()


class PolicyRunView(PolicyChange):
    scopes = {"GET": CREATE_BACKUP_POLICY, "POST": CREATE_BACKUP_POLICY}
    action = "RunBackupPolicy"
    title = "Run now"
    says = "A backup is taken at once; the schedule goes on as it was."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        job = services.run_now(self.policy, by=self.principal.label)
        self.operation_id = job.task.task_id
        return self.to_policy()


class PolicyDeleteView(PolicyChange):
    scopes = {"GET": DELETE_BACKUP_POLICY, "POST": DELETE_BACKUP_POLICY}
    action = "DeleteBackupPolicy"
    template_name = "backups/policy_confirm_delete.html"
    title = "Delete"
    says = ""

    def context(self) -> dict[str, Any]:
        """Its backups outlive it, and from then on go only by hand."""
        kept = Backup.objects.available().visible_to(self.principal)
        kept = kept.filter(cluster=self.policy.cluster_id, policy_id=self.policy.pk)
        more = max(0, kept.count() - MOST_NAMED)
        return super().context() | {"kept": kept[:MOST_NAMED], "more_kept": more}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.delete_policy(self.policy)
        messages.success(self.request, "Deleted: it runs no more. Its backups stay.")
        return redirect("policy-list", self.principal.organization_name)
