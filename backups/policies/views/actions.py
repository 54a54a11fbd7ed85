"""Pause, resume, run and delete a policy; release a backup that it retains."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from backups.models import Backup
from backups.policies import services
from backups.policies.services import release_backup
from backups.policies.views.detail import PolicyPage
from backups.policies.views.presenters import retention_status_of
from backups.views.actions import BackupChange
from vbase_console.organizations.scopes import (
    CREATE_BACKUP_POLICY,
    DELETE_BACKUP_POLICY,
    UPDATE_BACKUP_POLICY,
)
from vbase_console.web.forms import FormPage

MAX_NAMES = 10


class PolicyChange(FormPage, PolicyPage):
    """One thing to ask of one policy; the buttons of its page confirm it at once."""

    scopes = {"GET": UPDATE_BACKUP_POLICY, "POST": UPDATE_BACKUP_POLICY}
    template_name: ClassVar[str] = "policies/confirm.html"
    title: ClassVar[str]
    says: ClassVar[str]

    def context(self) -> dict[str, Any]:
        about = {"does": self.title, "says": self.says}
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
    template_name = "policies/confirm_delete.html"
    title = "Delete"
    says = ""

    def context(self) -> dict[str, Any]:
        """Its backups outlive it, and from then on go only by hand."""
        kept = Backup.objects.available().visible_to(self.principal)
        kept = kept.filter(cluster=self.policy.cluster_id, policy_id=self.policy.pk)
        more = max(0, kept.count() - MAX_NAMES)
        return super().context() | {"kept": kept[:MAX_NAMES], "more_kept": more}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.delete_policy(self.policy)
        messages.success(self.request, "Deleted: it runs no more. Its backups stay.")
        return redirect("policy-list", self.principal.organization_name)


class BackupReleaseView(BackupChange):
    """Of a backup that retention keeps because its successor holds less."""

    action = "ReleaseBackup"
    template_name = "policies/release.html"
    title = "Release"
    says = "From then on retention treats it like any other backup of its policy."

    def context(self) -> dict[str, Any]:
        return super().context() | {"kept": retention_status_of(self.principal, self.backup)}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        release_backup(self.backup)
        messages.success(self.request, "Released: retention treats it like any other from now on.")
        return self.to_backup()
