"""Names of objects by their ids, for messages on pages."""

from __future__ import annotations

from collections.abc import Mapping, Set

from django.db.models import Q

from backups.models import Backup
from backups.policies.models import BackupPolicy
from clusters.models import Cluster
from vbase_console.organizations.tenancy import Principal


def names_of(principal: Principal, ids: Set[str]) -> Mapping[str, str]:
    """Implements `vbase_console.web.wording.names_of`, with a query for each kind among the ids."""
    names: dict[str, str] = {}
    prefixes = {text.partition("-")[0] for text in ids}
    if prefixes & {"vc", "svc"}:
        clusters = Cluster.objects.visible_to(principal)
        clusters = clusters.filter(Q(cluster_id__in=ids) | Q(service_id__in=ids))
        for cluster_id, service_id, name in clusters.values_list(
            "cluster_id", "service_id", "name"
        ):
            names |= {cluster_id: name, service_id: name}
    if "bak" in prefixes:
        backups = Backup.objects.visible_to(principal).filter(backup_id__in=ids)
        names |= dict(backups.values_list("backup_id", "name"))
    if "pol" in prefixes:
        policies = BackupPolicy.objects.visible_to(principal).filter(policy_id__in=ids)
        names |= dict(policies.values_list("policy_id", "name"))
    return names
