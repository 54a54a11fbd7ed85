"""Number of the jobs of an organization, exact at any length of the history.

A sweep counts the jobs up to one that is a day old, a request the later ones. No job is added
before that one any more, because the transaction of its creation would take a day. Jobs are never
deleted, apart from those of a sample.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.utils import timezone

from backups.models import BackupJob, JobCount
from vbase_console.organizations.models import Organization

SETTLED_AFTER = timedelta(days=1)


def count_jobs(organization_id: uuid.UUID) -> int:
    jobs = BackupJob.objects.filter(organization=organization_id)
    kept = JobCount.objects.filter(organization=organization_id).first()
    return kept.count + jobs.filter(task__gt=kept.up_to).count() if kept else jobs.count()


def keep_counts() -> int:
    """Count the jobs of each organization with newly settled ones. Returns the number of counts."""
    return sum(map(keep_count, Organization.objects.values_list("pk", flat=True)))


def keep_count(organization_id: uuid.UUID) -> bool:
    """Count the settled jobs. Returns False if there are no others than before."""
    jobs = BackupJob.objects.filter(organization=organization_id)
    settled = jobs.filter(task__created_at__lt=timezone.now() - SETTLED_AFTER)
    newest = settled.order_by("-task_id").first()
    kept = JobCount.objects.filter(organization=organization_id).first()
    if newest is None or (kept and kept.up_to == newest.pk):
        return False
    JobCount.objects.update_or_create(
        organization_id=organization_id,
        defaults={"up_to": newest.pk, "count": jobs.filter(task__lte=newest.pk).count()},
    )
    return True
