"""The admin as support staff see it: sections in the words of the console, and its sign-in."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst

from vbase_console.core.admin import ReadOnlyAdmin

SECTIONS: dict[str, tuple[str, ...]] = {
    "Organizations": (
        "organizations.Organization",
        "organizations.Membership",
        "organizations.ApiKey",
        "organizations.AuditEntry",
    ),
    "Clusters": (
        "clusters.Cluster",
        "tasks.Task",
        "clusters.Rollout",
        "clusters.KeptCopy",
        "protection.KnownCollection",
        "protection.InventoryScan",
    ),
    "Backups": (
        "backups.Backup",
        "backups.BackupJob",
        "policies.BackupPolicy",
        "policies.PolicyRun",
        "policies.PolicyDay",
        "backups.BackupDownload",
        "backups.SealedPart",
        "backups.StoreScan",
    ),
    "Sign-ins": (
        "auth.User",
        "axes.AccessAttempt",
        "axes.AccessFailureLog",
        "axes.AccessLog",
    ),
    "Console": (
        "tasks.Heartbeat",
        "django_celery_beat.PeriodicTask",
        "django_celery_beat.CrontabSchedule",
        "django_celery_beat.IntervalSchedule",
        "console_api.IdempotentAnswer",
        "search.SearchWord",
        "search.CollectionWord",
    ),
    "Measurements": (
        "clusters.ClusterDay",
        "clusters.MetricSample",
        "clusters.LoadSample",
        "tasks.TaskDay",
        "backups.JobCount",
        "backups.StorageDay",
    ),
}
"""Section → models, in the order of the index."""


class StaffSignInForm(AdminAuthenticationForm):
    error_messages = {
        "invalid_login": "Wrong user name or password, or the account does not belong to support "
        "staff. After 10 failed attempts, sign-in is locked for 15 minutes.",
        "inactive": "This account is disabled. Contact the operator of this console.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name or e-mail"


class SupportSite(AdminSite):
    site_header = site_title = "VBase Console support"
    index_title = "Support"
    enable_nav_sidebar = False
    login_form = StaffSignInForm

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().login(request, {"title": "Sign in", **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the sections with the lists that the person may see."""
        apps = super().get_app_list(request, app_label)
        models = {model["model"]._meta.label: model for app in apps for model in app["models"]}
        for model in models.values():
            page = self._registry[model["model"]]
            if isinstance(page, ReadOnlyAdmin):
                model["name"] = capfirst(page.noun_plural)
        if app_label:
            return apps
        sections = [
            {"name": name, "models": [models[label] for label in labels if label in models]}
            for name, labels in SECTIONS.items()
        ]
        return [section for section in sections if section["models"]]
