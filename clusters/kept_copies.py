"""Copies of data from before an upgrade: their removal after the time of the setting."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

from clusters.admission import unfinished
from clusters.driver import driver_of
from clusters.drivers.base import DriverError
from clusters.models import Cluster, KeptCopy
from clusters.states import TaskKind

logger = logging.getLogger(__name__)


def remove_expired() -> int:
    """Remove copies after their time. Returns the number of removed copies.

    A copy is marked first, so that no request goes back to a copy that is being removed.
    """
    due = KeptCopy.objects.filter(expires_at__lte=timezone.now()).select_related("cluster")
    return sum(_remove(kept) for kept in due if _mark(kept))


def _mark(kept: KeptCopy) -> bool:
    """Return False while a change of the version needs the copy."""
    with transaction.atomic():
        cluster = Cluster.objects.locked(kept.cluster_id)
        if any(task.kind == TaskKind.VERSION_UPGRADE for task in unfinished(cluster)):
            return False
        return bool(KeptCopy.objects.filter(pk=kept.pk).update(removing=True))


def _remove(kept: KeptCopy) -> bool:
    try:
        driver_of(kept.cluster).drop_copy(kept.cluster_id, kept.version, _permit)
    except (DriverError, OSError) as error:
        logger.warning("%s: copy of %s not removed: %s", kept.cluster_id, kept.version, error)
        return False
    KeptCopy.objects.filter(pk=kept.pk, removing=True).delete()
    return True


def _permit() -> None:
    """Guard of a sweep, which holds no lease: several may remove the same copy."""
