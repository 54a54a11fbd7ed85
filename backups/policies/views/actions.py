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
        "No runs are scheduled while the policy is paused. Retention still applies to its backups."
    )

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.pause_policy(self.policy)
        messages.success(self.request, "Policy paused.")
        return self.to_policy()


class PolicyResumeView(PolicyChange):
    action = "ResumeBackupPolicy"
    title = "Resume"
    says = "Runs resume with the next scheduled one. Runs missed during the pause are not made up."

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.resume_policy(self.policy)
        messages.success(self.request, "Policy resumed.")
        return self.to_policy()


class PolicyRunView(PolicyChange):
    scopes = {"GET": CREATE_BACKUP_POLICY, "POST": CREATE_BACKUP_POLICY}
    action = "RunBackupPolicy"
    title = "Run now"
    says = "Starts a backup now. The schedule does not change."

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
        available = Backup.objects.available().visible_to(self.principal)
        kept = available.filter(cluster=self.policy.cluster_id, policy_id=self.policy.pk)
        more = max(0, kept.count() - MAX_NAMES)
        return super().context() | {"kept": kept[:MAX_NAMES], "more_kept": more}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        services.delete_policy(self.policy)
        messages.success(self.request, "Policy deleted. Its backups were kept.")
        return redirect("policy-list", self.principal.organization_name)


class BackupReleaseView(BackupChange):
    action = "ReleaseBackup"
    template_name = "policies/release.html"
    title = "Release"
    says = "Retention then treats the backup like any other of its policy."

    def context(self) -> dict[str, Any]:
        return super().context() | {"retention": retention_status_of(self.principal, self.backup)}

    def perform(self, given: dict[str, Any]) -> HttpResponseBase:
        release_backup(self.backup)
        messages.success(self.request, "Backup released. Retention applies to it again.")
        return self.to_backup()
