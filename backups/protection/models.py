from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Count, Q
from django.utils import timezone

from clusters.models import Cluster
from clusters.states import ENDED
from vbase_console.organizations.models import Organization
from vbase_console.organizations.tenancy import TenantQuerySet


class CoverageState(models.TextChoices):
    COVERED = "COVERED"
    STALE = "STALE"
    """Covered, and the RPO deadline has passed."""
    UNCOVERED = "UNCOVERED"


class KnownCollectionQuerySet(TenantQuerySet["KnownCollection"]):
    def living(self) -> Self:
        """Filter to collections whose cluster is neither deleted nor being deleted."""
        return self.exclude(cluster__status__in=ENDED)

    def covered(self) -> Self:
        return self.filter(policy__isnull=False)

    def uncovered(self) -> Self:
        return self.filter(policy__isnull=True)

    def stale(self, now: datetime) -> Self:
        return self.covered().filter(rpo_deadline__lte=now)

    def figures(self, now: datetime) -> dict[str, int]:
        """Return the numbers of covered, stale (part of covered) and uncovered collections."""
        covered = Q(policy__isnull=False)
        counts = self.order_by().aggregate(
            covered=Count("pk", filter=covered),
            stale=Count("pk", filter=covered & Q(rpo_deadline__lte=now)),
            uncovered=Count("pk", filter=~covered),
        )
        return {name: int(count) for name, count in counts.items()}


class KnownCollection(models.Model):
    """Collection found by an inventory scan or a backup, with its coverage.

    `coverage` recomputes the columns about policies and backups whenever one of them changes, so
    that pages only read rows.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="known_collections")
    db_name = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    first_seen_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    policy = models.ForeignKey(
        "policies.BackupPolicy", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    """Active policy with the earliest RPO deadline. Null if the collection is uncovered."""
    rpo_deadline = models.DateTimeField(null=True)
    """Time at which the collection becomes stale without a newer backup."""
    newest_backup = models.ForeignKey(
        "backups.Backup", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    """Latest good backup that contains the collection."""
    proven_backup = models.ForeignKey(
        "backups.Backup", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    """Latest good and proven backup that contains the collection."""

    objects = KnownCollectionQuerySet.as_manager()

    class Meta:
        ordering = ["cluster", "db_name", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["cluster", "db_name", "name"], name="known_collection_cluster_name_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.db_name}.{self.name} of {self.cluster_id}"

    def coverage_at(self, now: datetime) -> CoverageState:
        if self.policy_id is None:
            return CoverageState.UNCOVERED
        is_stale = self.rpo_deadline is not None and self.rpo_deadline <= now
        return CoverageState.STALE if is_stale else CoverageState.COVERED


class InventoryScan(models.Model):
    """Result of the last inventory scan of a cluster, and the time of the next one."""

    cluster = models.OneToOneField(
        Cluster, primary_key=True, on_delete=models.CASCADE, related_name="inventory_scan"
    )
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    next_scan_at = models.DateTimeField(db_index=True)
    scanned_at = models.DateTimeField(null=True)
    """Time of the last successful scan."""
    failures = models.PositiveSmallIntegerField(default=0)
    """Number of consecutive failed scans."""
    error_message = models.TextField(blank=True)
    omitted_count = models.PositiveIntegerField(default=0)
    """Number of collections beyond the maximum per cluster, which have no row."""

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"inventory scan of {self.cluster_id}"
