"""Job lists with the same filters for a service and for an organization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def jobs_page(
    rows: TenantQuerySet[BackupJob],
    query: Mapping[str, Any],
    count_all: Callable[[], int] | None = None,
) -> dict[str, Any]:
    """Return one page. `count_all` counts the rows without a filter faster than the database."""
    conditions = {
        column: query[name]
        for name, (column, anything) in FILTERS.items()
        if query.get(name, "") not in anything
    }
    is_possible = all(is_storable(value) for value in conditions.values())
    chosen = rows.filter(**conditions) if is_possible else rows.none()
    jobs, total = page_of(chosen, query, count=None if conditions else count_all)
    return answer(jobs=[BackupJobSerializer.of(job) for job in jobs], total=total)
