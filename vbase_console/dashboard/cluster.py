"""Cluster pages that also show backups and policies, which the clusters app does not know."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet, Window

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.protection.models import KnownCollection
from backups.views.presenters import newest_of
from clusters.protection import is_registered
from clusters.states import ENDED
from clusters.views import actions, detail
from vbase_console.explorer.views import MAX_SUMMARY
from vbase_console.organizations.scopes import CREATE_CLUSTER, LIST_BACKUPS, RESTORE_BACKUP

MAX_NAMES = 10


class ClusterDetailView(detail.ClusterDetailPage):
    def context(self) -> dict[str, Any]:
        context = super().context()
        if is_registered() and self.principal.may(LIST_BACKUPS):
            context |= newest_of(self.principal, self.cluster)
            context["clonable"] = self._may_be_cloned(has_backups=bool(context["backups"]))
            context["reload"] = context["reload"] or context["backups_move"]
        return context | self.collections()

    def _may_be_cloned(self, *, has_backups: bool) -> bool:
        """Tell whether to offer a clone: a deleted cluster takes no further backup."""
        may = self.principal.may(RESTORE_BACKUP) and self.principal.may(CREATE_CLUSTER)
        return may and (has_backups or self.cluster.status not in ENDED)

    def collections(self) -> dict[str, Any]:
        known = KnownCollection.objects.visible_to(self.principal).filter(cluster=self.cluster)
        counted = known.annotate(total=Window(Count("*")))
        first = list(counted.values_list("db_name", "name", "total")[:MAX_SUMMARY])
        return {
            "known": [(db_name, name) for db_name, name, _ in first],
            "known_total": first[0][2] if first else 0,
        }


class ClusterTokenView(ClusterDetailView, detail.ClusterTokenPage): ...


class ClusterDeleteView(actions.ClusterDeletePage):
    @property
    def backups(self) -> QuerySet[Backup]:
        """Backups that the deletion keeps or deletes, damaged ones included."""
        available = Backup.objects.available().visible_to(self.principal)
        return available.filter(cluster=self.cluster)

    def form_arguments(self) -> dict[str, Any]:
        return super().form_arguments() | {"has_backups": self.backups.exists()}

    def context(self) -> dict[str, Any]:
        more = max(0, self.backups.count() - MAX_NAMES)
        policies = BackupPolicy.objects.visible_to(self.principal).filter(cluster=self.cluster)
        return super().context() | {
            "kept": self.backups[:MAX_NAMES],
            "more_kept": more,
            "paused": policies.filter(is_active=True).count(),
        }
