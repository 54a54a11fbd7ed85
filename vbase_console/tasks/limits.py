"""Limits of unfinished tasks, per quota key and per organization."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db.models import Count, Q

from vbase_console.core.errors import ResourceExhausted
from vbase_console.organizations.demo import refuse_demo
from vbase_console.organizations.models import Organization
from vbase_console.tasks.models import Task

REMEDY = "Wait until some of them have finished, or cancel some."


def require_capacity(organization_id: uuid.UUID, quota_key: str) -> None:
    """Raise ResourceExhausted if another task would exceed a limit, and FailedPrecondition if the
    organization has sample data.

    The organization's row stays locked until the transaction ends, so that its tasks are counted
    and added one request at a time. Callers lock their other rows before. Rows that refer to the
    organization, such as audit entries, can be inserted meanwhile.
    """
    rows = Organization.objects.select_for_update(no_key=True)
    refuse_demo(rows.only("is_demo").get(pk=organization_id))
    check_capacity(organization_id, quota_key)


def check_capacity(organization_id: uuid.UUID, quota_key: str) -> None:
    """Raise ResourceExhausted like `require_capacity`, without a lock: for a caller that holds
    rows of several organizations and must not wait for another one.
    """
    unfinished = Task.objects.unfinished_of(organization_id)
    of_organization, of_key = unfinished.aggregate(
        of_organization=Count("pk"), of_key=Count("pk", filter=Q(quota_key=quota_key))
    ).values()
    if quota_key and of_key >= settings.MAX_WAITING_PER_CLUSTER:
        raise ResourceExhausted(f"{quota_key} has {of_key} unfinished tasks. {REMEDY}")
    if of_organization >= settings.MAX_WAITING_PER_ORGANIZATION:
        raise ResourceExhausted(
            f"Your organization has {of_organization} unfinished tasks. {REMEDY}"
        )
