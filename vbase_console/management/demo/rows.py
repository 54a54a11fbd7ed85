"""Values of the tasks and backups of an organization with sample data."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from backups.models import FOUND_BY_READING
from backups.names import DEFAULT_DATABASE
from backups.states import JOB_ID_PREFIX, JobKind
from clusters.models import Cluster
from clusters.states import TaskKind
from vbase_console.core.ids import ALPHABET, LENGTH
from vbase_console.management.demo.clusters import COLLECTIONS, KEPT_BY_POLICY
from vbase_console.management.demo.moments import Moment
from vbase_console.management.demo.table import Row
from vbase_console.tasks.states import TASK_ID_PREFIX, TaskState

BUSY = 20
KINDS = (
    TaskKind.SCALING,
    TaskKind.RESTART,
    TaskKind.STOP,
    TaskKind.START,
    TaskKind.VERSION_UPGRADE,
)


class SampleRows:
    """Values of one row after the other. The random ones depend on the organization's name."""

    def __init__(
        self,
        organization_name: str,
        clusters: Sequence[Cluster],
        policy_ids: Mapping[str, str],
        backup_count: int,
    ) -> None:
        self.random = random.Random(organization_name)  # noqa: S311
        self.clusters = clusters
        self.policy_ids = policy_ids
        self.backups_left = Counter(self._cluster_of(number).pk for number in range(backup_count))
        """Backups of each cluster that are not written yet."""

    def task(self, moment: Moment) -> Row:
        cluster = self._cluster_of(moment.number)
        started_at = moment.at + timedelta(seconds=1)
        finished_at = started_at + timedelta(seconds=self.random.randint(1, 90))
        id_prefix = JOB_ID_PREFIX if moment.is_backup else TASK_ID_PREFIX
        row: Row = {
            "task_id": self._id(id_prefix),
            "id_prefix": id_prefix,
            "subject_id": self._id("bak") if moment.is_backup else cluster.pk,
            "kind": self._kind(moment),
            "lock": cluster.lock,
            "quota_key": cluster.pk,
            "not_before": moment.at,
            "created_at": moment.at,
            "started_at": started_at,
            "updated_at": finished_at,
            "finished_at": finished_at,
        }
        if not moment.is_backup and moment.number % 100 == 99:
            message = "The Milvus process exited right after startup."
            row |= {"state": TaskState.FAILED, "progress": 50, "message": message}
        return row

    def backup(self, moment: Moment, task: Row) -> Row:
        number, cluster = moment.number, self._cluster_of(moment.number)
        rows = 10_000 + number
        collections = [
            {"name": name, "rowCount": rows, "sizeBytes": rows * 512, "parts": 1, "aliases": []}
            for name in COLLECTIONS
        ]
        is_damaged = number % 1000 == 7
        checked_at = moment.at + timedelta(hours=1)
        return {
            "backup_id": task["subject_id"],
            "cluster_id": cluster.pk,
            "name": f"{DEFAULT_DATABASE}-{moment.at:%Y%m%dT%H%M%SZ}-{number:06x}",
            "policy_id": self._policy_of(cluster),
            "pinned": number % 200 == 0,
            "collections": collections,
            "row_count": rows * len(COLLECTIONS),
            "size_bytes": rows * 512 * len(COLLECTIONS),
            "manifest_sha256": f"{self.random.getrandbits(256):064x}",
            "created_at": moment.at,
            "verified_at": None if is_damaged or number % 2 else checked_at,
            "proven_at": None if is_damaged or number % 10 else checked_at,
            "damage_found_by": FOUND_BY_READING if is_damaged else "",
        }

    def _kind(self, moment: Moment) -> str:
        if moment.is_backup:
            return JobKind.BACKUP
        is_first = moment.number < len(self.clusters)
        return TaskKind.DEPLOYMENT if is_first else KINDS[moment.number % len(KINDS)]

    def _cluster_of(self, number: int) -> Cluster:
        """Every twentieth row belongs to the first cluster, so that its lists are full."""
        return self.clusters[0 if number % BUSY == 0 else number % len(self.clusters)]

    def _policy_of(self, cluster: Cluster) -> str:
        """Return the policy of the next backup. Older ones than it keeps were made by hand."""
        self.backups_left[cluster.pk] -= 1
        is_kept = self.backups_left[cluster.pk] < KEPT_BY_POLICY
        return self.policy_ids.get(cluster.pk, "") if is_kept else ""

    def _id(self, prefix: str) -> str:
        return f"{prefix}-{''.join(self.random.choices(ALPHABET, k=LENGTH))}"
