"""A cluster together with its backups: clusters know nothing of these, so the pages that show both
stand above both.
"""

from __future__ import annotations

from typing import Any

from backups.models import Backup
from backups.policies.models import BackupPolicy
from backups.views.presenters import newest_of
from clusters.protection import is_registered
from clusters.views import actions, detail
from vbase_console.organizations.scopes import LIST_BACKUPS

MAX_NAMES = 10


class ClusterDetailView(detail.ClusterDetailView):
    def context(self) -> dict[str, Any]:
        return super().context() | self.backups()

    def backups(self) -> dict[str, Any]:
        if not is_registered() or not self.principal.may(LIST_BACKUPS):
            return {}
        return newest_of(self.principal, self.cluster)


class ClusterProgressView(ClusterDetailView, detail.ClusterProgressView):
    """What the cluster's page polls."""


class ClusterTokenView(ClusterDetailView, detail.ClusterTokenView):
    """The cluster's page with its token."""


class ClusterDeleteView(actions.ClusterDeleteView):
    def context(self) -> dict[str, Any]:
        kept = Backup.objects.available().visible_to(self.principal).filter(cluster=self.cluster)
        more = max(0, kept.count() - MAX_NAMES)
        policies = BackupPolicy.objects.visible_to(self.principal).filter(cluster=self.cluster)
        return super().context() | {
            "kept": kept[:MAX_NAMES],
            "more_kept": more,
            "paused": policies.filter(is_active=True).count(),
        }
