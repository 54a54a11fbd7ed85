"""The pages that libraries registered, brought to this console's rule: look, and change nothing.

One thing stays as its library made it: removing an access attempt of `axes` opens a door that wrong
passwords closed.
"""

from __future__ import annotations

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from rest_framework_api_key.models import APIKey

from vbase_console.readonly_admin import ReadOnlyAdmin

UNUSED = [APIKey]
"""The library's own key belongs to no organization; ours is `organizations.ApiKey`."""
LOOKED_AT = [
    AccessFailureLog,
    AccessLog,
    ClockedSchedule,
    CrontabSchedule,
    Group,
    IntervalSchedule,
    SolarSchedule,
]

admin.site.unregister([*UNUSED, *LOOKED_AT, PeriodicTask, User])
admin.site.register(LOOKED_AT, ReadOnlyAdmin)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ReadOnlyAdmin):
    list_display = ["name", "task", "enabled", "interval", "crontab", "last_run_at"]
    list_select_related = ["interval", "crontab"]
    search_fields = ["name", "task"]


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin):
    """Fields are named one by one: the password's hash is not among them."""

    list_display = ["username", "email", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["username", "email"]
    fields = [
        "username",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "last_login",
        "date_joined",
    ]
