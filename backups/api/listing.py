"""Job lists with the same filters for a service and for an organization."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backups.api.requests import NO_JOB_TYPE, NO_STATUS
from backups.api.responses import BackupJobSerializer
from backups.models import BackupJob as JobRow
from vbase_console.api.paging import page_of
from vbase_console.api.serializers import answer
from vbase_console.organizations.tenancy import TenantQuerySet, is_storable

# The filter's name → the row's column, and what stands for no filter.
FILTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "job_type": ("job_type", NO_JOB_TYPE),
    "status": ("task__state", NO_STATUS),
    "db_name": ("db_name", ("",)),
    "policy_id": ("policy_id", ("",)),
    "service_id": ("cluster__service_id", ("",)),
}


def jobs_page(rows: TenantQuerySet[JobRow], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the filtered jobs, newest first."""
    chosen, total = page_of(_filtered(rows, asked), asked)
    return answer(jobs=[BackupJobSerializer.of(row) for row in chosen], total=total)


def _filtered(rows: TenantQuerySet[JobRow], asked: Mapping[str, Any]) -> TenantQuerySet[JobRow]:
    wanted = {
        column: asked[name]
        for name, (column, anything) in FILTERS.items()
        if asked.get(name, "") not in anything
    }
    if not all(is_storable(value) for value in wanted.values()):
        return rows.none()
    return rows.filter(**wanted)
