"""Size of the backups of each cluster and day, for the picture of the overview.

A day is computed from the rows of backups, which keep the times of creation and deletion. So the
days on which no sweep ran, and those before the first one, are filled as exactly as the others.
Each day costs one grouped statement, whatever the number of clusters.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from django.db import transaction
from django.db.models import Max, Q, Sum
from django.utils import timezone

from backups.models import Backup, StorageDay
from backups.states import BackupStatus
from vbase_console.core import batch_delete

KEPT_DAYS = 30
BATCH_SIZE = 500
STORED = (BackupStatus.AVAILABLE, BackupStatus.DELETING, BackupStatus.GONE)
"""States of a backup whose archive was complete. A failed one has no size."""


def measure() -> int:
    """Store the sizes of today and of all days since the last stored one. Returns the number of
    stored days.
    """
    today = timezone.now().astimezone(UTC).date()
    oldest = today - timedelta(days=KEPT_DAYS - 1)
    last = StorageDay.objects.aggregate(last=Max("day"))["last"]
    first = min(max(oldest, last), today) if last else oldest
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    for day in days:
        measure_day(day)
    batch_delete.remove(StorageDay.objects.filter(day__lt=oldest).order_by("day"))
    return len(days)


@transaction.atomic
def measure_day(day: date, **conditions: object) -> None:
    """Store the size of each cluster's backups at the end of a day, or now if the day is today."""
    end = datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
    stored = Backup.objects.of_real_organizations() if not conditions else Backup.objects.all()
    stored = stored.filter(status__in=STORED, created_at__lt=end, size_bytes__gt=0, **conditions)
    stored = stored.filter(Q(deleted_at=None) | Q(deleted_at__gte=end)).order_by()
    sizes = stored.values("organization", "cluster").annotate(size=Sum("size_bytes"))
    rows = [
        StorageDay(
            organization_id=row["organization"],
            cluster_id=row["cluster"],
            day=day,
            size_bytes=row["size"],
        )
        for row in sizes
    ]
    StorageDay.objects.filter(day=day, **conditions).delete()
    StorageDay.objects.bulk_create(rows, batch_size=BATCH_SIZE)
