"""Organization with sample data: clusters, tasks, backups with jobs and policies.

The rows are written in batches, without services, drivers and stores. They are those of finished
work, so that no worker and no sweep has anything to do.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from backups.models import Backup, BackupJob, JobCount, SealedPart, StorageDay
from backups.policies.models import BackupPolicy, PolicyDay, PolicyRun
from backups.protection.models import InventoryScan, KnownCollection
from clusters.models import Cluster, ClusterDay, LoadSample
from vbase_console.core.planner_statistics import update_planner_statistics
from vbase_console.management.demo.clusters import (
    create_clusters,
    create_policies,
    record_collections,
)
from vbase_console.management.demo.history import History
from vbase_console.management.demo.kept_figures import write_kept_figures
from vbase_console.management.demo.moments import HISTORY, Size, batches_of_moments
from vbase_console.management.demo.rows import SampleRows
from vbase_console.organizations.models import ApiKey, AuditEntry, Membership, Organization
from vbase_console.organizations.scopes import Role
from vbase_console.organizations.services import create_organization
from vbase_console.search.models import CollectionWord, SearchWord
from vbase_console.tasks.models import Task, TaskDay, TaskEvent

DELETE_BATCH_SIZE = 20_000


def seed(
    name: str, owner: User, size: Size, *, replaces: Organization | None = None
) -> Organization:
    """Create a demo organization, or fill an existing one anew.

    The rows are written in short transactions, so that other writers do not wait. An interrupted
    call leaves a marked organization, which a further call replaces.
    """
    _enlarge_cache()
    if replaces is not None:
        remove(replaces)
    organization = _organization(name, owner)
    created_at = timezone.now() - HISTORY
    with transaction.atomic():
        clusters = create_clusters(organization, size.clusters, created_at)
        record_collections(organization, clusters, created_at)
        policy_ids = create_policies(organization, clusters)
    rows = SampleRows(organization.name, clusters, policy_ids, size.backups)
    history = History(organization, owner.get_username(), rows)
    for moments in batches_of_moments(size):
        with transaction.atomic():
            history.write(moments)
    write_kept_figures(organization, clusters, policy_ids)
    update_planner_statistics(after_filling=True)
    return organization


@transaction.atomic
def _organization(name: str, owner: User) -> Organization:
    """Create the marked organization, or return the empty one that `remove` has kept."""
    organization = Organization.objects.filter(name=name).first()
    if organization is None:
        organization = create_organization(name=name, owner=owner)
        Organization.objects.filter(pk=organization.pk).update(is_demo=True)
    Membership.objects.get_or_create(
        organization=organization, user=owner, defaults={"role": Role.OWNER}
    )
    return organization


def _enlarge_cache() -> None:
    """Keep the indexes in SQLite's cache, because ids are random. Lasts as long as the process."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -262144")  # KiB


def remove(organization: Organization) -> None:
    """Delete the rows of a demo organization, in short transactions.

    An organization with audit entries, which cannot be deleted, is kept without members.
    """
    rows_of = {"organization": organization}
    BackupPolicy.objects.filter(**rows_of).update(last_run=None)
    for rows in (
        PolicyRun.objects.filter(**rows_of),
        PolicyDay.objects.filter(**rows_of),
        StorageDay.objects.filter(**rows_of),
        JobCount.objects.filter(**rows_of),
        CollectionWord.objects.filter(**rows_of),
        KnownCollection.objects.filter(**rows_of),
        InventoryScan.objects.filter(**rows_of),
        BackupPolicy.objects.filter(**rows_of),
        SealedPart.objects.filter(backup__organization=organization),
        BackupJob.objects.filter(**rows_of),
        Backup.objects.filter(**rows_of),
        ClusterDay.objects.filter(cluster__organization=organization),
        TaskDay.objects.filter(**rows_of),
        TaskEvent.objects.filter(task__organization=organization),
        Task.objects.filter(**rows_of),
        LoadSample.objects.filter(cluster__organization=organization),
        SearchWord.objects.filter(**rows_of),
        ApiKey.objects.filter(**rows_of),
        Membership.objects.filter(**rows_of),
    ):
        _delete_rows(rows)
    Cluster.objects.filter(**rows_of).delete()
    if not AuditEntry.objects.filter(**rows_of).exists():
        organization.delete()


def _delete_rows(rows: QuerySet[Any]) -> None:
    """Delete without reading the rows. The caller has deleted the rows that refer to them."""
    rows = rows.order_by()
    while rows.filter(pk__in=rows.values("pk")[:DELETE_BATCH_SIZE])._raw_delete(rows.db):
        pass
