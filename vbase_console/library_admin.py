"""Read-only admin pages of libraries, and the actions that unlock sign-in."""

from __future__ import annotations

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework_api_key.models import APIKey

from vbase_console.core.admin import ReadOnlyAdmin
from vbase_console.core.admin_columns import link_to_person
from vbase_console.organizations.audit import organizations_of
from vbase_console.organizations.models import Outcome
from vbase_console.organizations.support import record_support

SECTIONS = {"auth": "People", "axes": "Sign-ins", "django_celery_beat": "Schedules"}
"""App of a library → name that people understand."""
for label, name in SECTIONS.items():
    apps.get_app_config(label).verbose_name = name

UNUSED = [APIKey, ClockedSchedule, Group, SolarSchedule]
"""The console has its own key model, `organizations.ApiKey`. The other tables are always empty."""

admin.site.unregister(
    [
        *UNUSED,
        AccessAttempt,
        AccessFailureLog,
        AccessLog,
        CrontabSchedule,
        IntervalSchedule,
        PeriodicTask,
        User,
    ]
)


@admin.register(AccessFailureLog)
class AccessFailureAdmin(ReadOnlyAdmin):
    nouns = ("earlier failed sign-in", "earlier failed sign-ins")
    renderers = {"username": link_to_person}
    list_display = ["attempt_time", "username", "ip_address", "locked_out", "path_info"]
    search_fields = ["username", "ip_address"]
    search_help_text = "E-mail, network address"
    fields = ["attempt_time", "username", "ip_address", "path_info", "user_agent"]


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    nouns = ("sign-in", "sign-ins")
    renderers = {"username": link_to_person}
    list_display = ["attempt_time", "logout_time", "username", "ip_address", "path_info"]
    search_fields = ["username", "ip_address"]
    search_help_text = "E-mail, network address"
    fields = ["attempt_time", "username", "ip_address", "path_info", "user_agent"]


@admin.register(CrontabSchedule)
class CrontabAdmin(ReadOnlyAdmin):
    nouns = ("cron schedule", "cron schedules")


@admin.register(IntervalSchedule)
class IntervalAdmin(ReadOnlyAdmin):
    pass


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """Failed sign-ins. Submitted data is hidden, because it may be a password of another site."""

    nouns = ("failed sign-in", "failed sign-ins")
    renderers = {"username": link_to_person}
    list_display = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]
    list_filter = ["attempt_time"]
    search_fields = ["username", "ip_address"]
    search_help_text = "E-mail, network address"
    fields = [
        "username",
        "ip_address",
        "failures_since_start",
        "attempt_time",
        "path_info",
        "user_agent",
    ]
    actions = ["unlock", "unlock_address"]

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.action(description="Unlock sign-in", permissions=["act"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        attempts = queryset.order_by("username", "ip_address")
        for username, address in attempts.values_list("username", "ip_address").distinct():
            _unlock_and_record(request, username, address)
            self.message_user(request, f"Unlocked: {username} can sign in from {address}.")

    @admin.action(description="Unlock sign-in for the whole address", permissions=["act"])
    def unlock_address(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        for address in sorted(set(queryset.values_list("ip_address", flat=True)), key=str):
            attempts = AccessAttempt.objects.filter(ip_address=address)
            for username in sorted(set(attempts.values_list("username", flat=True)), key=str):
                _unlock_and_record(request, username, address)
            self.message_user(request, f"Unlocked: every account can sign in from {address}.")


@transaction.atomic
def _unlock_and_record(request: HttpRequest, username: str | None, address: str | None) -> None:
    """Delete the attempts of all browsers, because the lock counts them together."""
    AccessAttempt.objects.filter(username=username, ip_address=address).delete()
    for organization_id in organizations_of(username) if username else ():
        record_support(
            request,
            organization_id,
            action="UnlockSignIn",
            object_id=str(username),
            outcome=Outcome.ACCEPTED,
            detail=f"from {address}",
        )


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ReadOnlyAdmin):
    nouns = ("schedule of the console", "schedules of the console")
    list_display = ["name", "task", "enabled", "interval", "crontab", "last_run_at"]
    fields = [
        "name",
        "description",
        "task",
        "args",
        "queue",
        "interval",
        "crontab",
        "enabled",
        "last_run_at",
        "total_run_count",
    ]
    list_select_related = ["interval", "crontab"]
    search_fields = ["name", "task"]


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin):
    """Users. Fields are listed explicitly, so that the password hash is not shown."""

    nouns = ("person", "people")
    related_lists = {
        "Organizations": ("organizations_membership", "username"),
        "Activity": ("organizations_auditentry", "username"),
        "Sign-ins": ("axes_accesslog", "username"),
        "Failed sign-ins": ("axes_accessattempt", "username"),
    }
    list_display = ["username", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["username", "email"]
    search_help_text = "E-mail"
    fields = [
        "username",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "last_login",
        "date_joined",
    ]
