"""Job lists with the same filters for a service and for an organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backups.api.requests import NO_JOB_TYPE, NO_STATUS
from backups.api.responses import BackupJobSerializer
from backups.models import BackupJob
from vbase_console.api.paging import page_of
from vbase_console.api.serializers import answer
from vbase_console.organizations.tenancy import TenantQuerySet, is_storable

# name of the filter → column of the row, and the values that mean no filter
FILTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "job_type": ("job_type", NO_JOB_TYPE),
    "status": ("task__state", NO_STATUS),
    "db_name": ("db_name", ("",)),
    "policy_id": ("policy_id", ("",)),
    "service_id": ("cluster__service_id", ("",)),
}


def jobs_page(rows: TenantQuerySet[BackupJob], query: Mapping[str, Any]) -> dict[str, Any]:
    conditions = {
        column: query[name]
        for name, (column, anything) in FILTERS.items()
        if query.get(name, "") not in anything
    }
    is_possible = all(is_storable(value) for value in conditions.values())
    jobs, total = page_of(rows.filter(**conditions) if is_possible else rows.none(), query)
    return answer(jobs=[BackupJobSerializer.of(job) for job in jobs], total=total)
