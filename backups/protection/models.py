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


class KnownCollectionQuerySet(TenantQuerySet["KnownCollection"]):
    def living(self) -> Self:
        """Those that can still be lost: their cluster is neither deleted nor on its way there."""
        return self.exclude(cluster__status__in=ENDED)

    def covered(self) -> Self:
        return self.filter(policy__isnull=False)

    def uncovered(self) -> Self:
        return self.filter(policy__isnull=True)

    def stale(self, now: datetime) -> Self:
        return self.covered().filter(rpo_deadline__lte=now)

    def figures(self, now: datetime) -> dict[str, int]:
        """How many are covered, of them stale, and uncovered: one query, however many there are."""
        covered = Q(policy__isnull=False)
        counted = self.order_by().aggregate(
            covered=Count("pk", filter=covered),
            stale=Count("pk", filter=covered & Q(rpo_deadline__lte=now)),
            uncovered=Count("pk", filter=~covered),
        )
        return {name: int(count) for name, count in counted.items()}


class KnownCollection(models.Model):
    """A collection that was seen in a cluster, and how well it is protected.

    What stands here of policies and backups is worked out by `coverage` whenever one of them
    changes, so that a page counts rows and asks neither clusters nor calendars.
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
    """Of the active policies that take it the one whose promise ends first; none: uncovered."""
    rpo_deadline = models.DateTimeField(null=True)
    """When that promise ends, unless a newer backup holds it by then."""
    newest_backup = models.ForeignKey(
        "backups.Backup", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    """The newest good one that holds it."""
    proven_backup = models.ForeignKey(
        "backups.Backup", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    """The newest good one that holds it and is proven."""

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


class InventoryScan(models.Model):
    """When a cluster was last asked what it has, how that went, and when it is asked again."""

    cluster = models.OneToOneField(
        Cluster, primary_key=True, on_delete=models.CASCADE, related_name="inventory_scan"
    )
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT)
    next_scan_at = models.DateTimeField(db_index=True)
    scanned_at = models.DateTimeField(null=True)
    """When it answered last; what is known of it is as old as this."""
    failures = models.PositiveSmallIntegerField(default=0)
    """How often in a row it did not answer."""
    error_message = models.TextField(blank=True)
    omitted_count = models.PositiveIntegerField(default=0)
    """Collections beyond the number that is kept of one cluster."""

    objects = TenantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"look at {self.cluster_id}"
