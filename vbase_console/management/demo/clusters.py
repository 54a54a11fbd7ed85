"""Clusters of the sample data, with their collections and backup policies."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import cycle

from django.utils import timezone

from backups.names import DEFAULT_DATABASE
from backups.policies.models import BackupPolicy
from backups.protection.models import InventoryScan, KnownCollection
from clusters.driver import get_driver
from clusters.models import Cluster
from clusters.states import Condition, ServiceStatus
from vbase_console.core.encryption import encrypt
from vbase_console.management.demo.moments import RECENT
from vbase_console.management.demo.table import Row
from vbase_console.organizations.models import Organization
from vbase_console.search.words import index_collections, index_names

DRIVER = "memory"
KEPT_BY_POLICY = 50
A_YEAR = timedelta(days=365)
COLLECTIONS = ("documents", "images", "products")
SUBJECTS = ("search", "catalog", "support", "images", "reports", "ranking", "chat", "fraud")
STAGES = ("prod", "staging", "test")


def milvus_version() -> str:
    return get_driver(DRIVER).capabilities.versions[0]


def create_clusters(
    organization: Organization, number_of_clusters: int, created_at: datetime
) -> list[Cluster]:
    subjects = cycle(SUBJECTS)
    return Cluster.objects.bulk_create(
        Cluster(
            organization=organization,
            name=f"{next(subjects)}-{number:04d}",
            labels={"stage": STAGES[number % len(STAGES)]},
            driver=DRIVER,
            version=milvus_version(),
            compute_units=1 + number % 4,
            max_compute_units=4,
            host="127.0.0.1",
            port=1,
            sealed_token=encrypt(secrets.token_urlsafe(32)),
            created_at=created_at + timedelta(seconds=number),
            **_state_of_cluster(number),
        )
        for number in range(number_of_clusters)
    )


def _state_of_cluster(number: int) -> Row:
    if number % 20 == 19:
        return {
            "status": ServiceStatus.STOPPED,
            "condition": Condition.STOPPED,
            "wanted_running": False,
        }
    return {"status": ServiceStatus.RUNNING, "condition": Condition.RUNNING}


def record_collections(
    organization: Organization, clusters: Sequence[Cluster], first_seen_at: datetime
) -> None:
    """Record the collections of all clusters as scanned. No further scan is due for a year."""
    InventoryScan.objects.bulk_create(
        InventoryScan(
            cluster=cluster,
            organization=organization,
            scanned_at=timezone.now(),
            next_scan_at=timezone.now() + A_YEAR,
        )
        for cluster in clusters
    )
    KnownCollection.objects.bulk_create(
        KnownCollection(
            organization=organization,
            cluster=cluster,
            db_name=DEFAULT_DATABASE,
            name=name,
            first_seen_at=first_seen_at,
        )
        for cluster in clusters
        for name in COLLECTIONS
    )
    index_collections(KnownCollection.objects.filter(organization=organization))


def create_policies(organization: Organization, clusters: Sequence[Cluster]) -> dict[str, str]:
    """Create a policy for nine of ten clusters. Each keeps the newest backups of its cluster.
    Returns the policy id of each cluster id.
    """
    planned = timezone.now() + A_YEAR - RECENT  # so that recent backups meet the RPO
    next_run_at = planned.replace(hour=3, minute=0, second=0, microsecond=0)
    policies = BackupPolicy.objects.bulk_create(
        BackupPolicy(
            organization=organization,
            cluster=cluster,
            name="yearly",
            schedule_cron=f"0 3 {next_run_at.day} {next_run_at.month} *",
            retention_count=KEPT_BY_POLICY,
            next_run_at=next_run_at,
            created_at=cluster.created_at,
        )
        for number, cluster in enumerate(clusters)
        if number % 10 != 9
    )
    index_names([*clusters, *policies])
    return {policy.cluster_id: policy.pk for policy in policies}
