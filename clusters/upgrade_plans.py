"""Plan of a change of the version, for pages and API. Changes nothing."""

from __future__ import annotations

import dataclasses
import statistics
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from clusters.admission import expected_state, unfinished
from clusters.driver import capabilities_of, driver_of
from clusters.drivers.base import Capabilities, DriverError
from clusters.models import Cluster, KeptCopy
from clusters.resources import possible_upgrades
from clusters.states import Condition, TaskKind
from clusters.upgrades import FACTS, ask
from vbase_console.tasks.models import Task
from vbase_console.tasks.states import TaskState

SIMILAR_SIZE = 4
"""Clusters are of similar size if neither has more than this many times the data of the other."""
SMALL_BYTES = 64 * 1024**2
"""Below this size the duration does not depend on the data."""
_RECENT_UPGRADES = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class PastUpgrade:
    data_bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpgradeChoice:
    version: str
    effects: list[str]
    """Changes that clients notice, besides corrections without an effect on answers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowChange:
    """Rows of one collection at the time of the upgrade and now. None: not known."""

    collection: str
    rows_then: int | None
    rows_now: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GoBackPlan:
    version: str
    size_bytes: int
    upgraded_at: datetime
    kept_until: datetime
    changes: list[RowChange] | None
    """Collections with another number of rows than then. None if the cluster was not asked."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpgradePlan:
    """Present version, possible upgrades, and what they need."""

    version: str
    is_shipped: bool
    choices: list[UpgradeChoice]
    backs_up: bool
    """True if rows are backed up first by default."""
    data_bytes: int | None
    needed_bytes: int | None
    free_bytes: int | None
    usual_seconds: int | None
    """Median duration of past upgrades of clusters of similar size. None: there was none."""
    go_back: GoBackPlan | None


def plan_of(cluster: Cluster, *, counts_rows: bool = False) -> UpgradePlan:
    """Describe the possible changes of the version. `counts_rows` asks the running cluster."""
    capabilities, driver = capabilities_of(cluster), driver_of(cluster)
    expected = expected_state(cluster, unfinished(cluster)).resources.version
    size = driver.copy_size(cluster.cluster_id)
    return UpgradePlan(
        version=cluster.version,
        is_shipped=is_shipped(cluster, capabilities),
        choices=[
            UpgradeChoice(version=version, effects=effects_of(expected, version, capabilities))
            for version in possible_upgrades(expected, capabilities)
        ],
        backs_up=capabilities.stores_rows,
        data_bytes=size.total_bytes if size else None,
        needed_bytes=size.needed_bytes if size else None,
        free_bytes=driver.free_bytes(cluster.cluster_id),
        usual_seconds=(
            usual_seconds(past_upgrades(cluster.organization_id), size.total_bytes)
            if size
            else None
        ),
        go_back=_go_back_plan(cluster, counts_rows=counts_rows),
    )


def reachable_versions(cluster: Cluster, present: str) -> list[str]:
    """Versions that a cluster of version `present` can be changed to. Empty without its driver."""
    try:
        return possible_upgrades(present, driver_of(cluster).capabilities)
    except DriverError:
        return []


def is_version_shipped(cluster: Cluster) -> bool:
    """True also if this console does not have the cluster's driver, which is another problem."""
    try:
        return is_shipped(cluster, driver_of(cluster).capabilities)
    except DriverError:
        return True


def is_shipped(cluster: Cluster, capabilities: Capabilities) -> bool:
    return capabilities.is_operated_elsewhere or cluster.version in capabilities.versions


def is_version_offered(driver: str, version: str) -> bool:
    """Like `is_version_shipped`, for clusters that are counted and not read."""
    return is_version_shipped(Cluster(driver=driver, version=version))


def kept_copy_of(cluster: Cluster) -> KeptCopy | None:
    return KeptCopy.objects.filter(cluster=cluster, removing=False).first()


def effects_of(present: str, version: str, capabilities: Capabilities) -> list[str]:
    """Effects of the version and of all that are passed on the way, oldest first."""
    newest_first = list(capabilities.versions)
    older = newest_first.index(present) if present in newest_first else len(newest_first)
    passed = newest_first[newest_first.index(version) : older]
    return [effect for name in reversed(passed) for effect in capabilities.effects.get(name, ())]


def past_upgrades(organization_id: uuid.UUID) -> list[PastUpgrade]:
    """Return the last upgrades of an organization that succeeded."""
    ended = Task.objects.filter(
        organization_id=organization_id, kind=TaskKind.VERSION_UPGRADE, state=TaskState.SUCCEEDED
    )
    recent = ended.order_by("-pk").values_list("checkpoint", "started_at", "finished_at")
    return [
        PastUpgrade(
            data_bytes=checkpoint[FACTS]["data_bytes"],
            seconds=(finished - started).total_seconds(),
        )
        for checkpoint, started, finished in recent[:_RECENT_UPGRADES]
        if FACTS in checkpoint and started and finished
    ]


def usual_seconds(past: Sequence[PastUpgrade], data_bytes: int) -> int | None:
    """Return the median duration for clusters of similar size. None if there was none."""
    similar = [upgrade for upgrade in past if _is_similar(data_bytes, upgrade.data_bytes)]
    durations = [upgrade.seconds for upgrade in similar]
    return round(statistics.median(durations)) if durations else None


def _is_similar(size: int, other: int) -> bool:
    smaller, larger = sorted([max(size, SMALL_BYTES), max(other, SMALL_BYTES)])
    return larger <= smaller * SIMILAR_SIZE


def _go_back_plan(cluster: Cluster, *, counts_rows: bool) -> GoBackPlan | None:
    kept = kept_copy_of(cluster)
    if kept is None:
        return None
    asked = counts_rows and cluster.condition == Condition.RUNNING
    return GoBackPlan(
        version=kept.version,
        size_bytes=kept.size_bytes,
        upgraded_at=kept.created_at,
        kept_until=kept.expires_at,
        changes=_row_changes(cluster, kept) if asked else None,
    )


def _row_changes(cluster: Cluster, kept: KeptCopy) -> list[RowChange] | None:
    try:
        now: dict[str, Any] = {name: answer["rows"] for name, answer in ask(cluster).items()}
    except DriverError:
        return None
    then = {name: answer["rows"] for name, answer in kept.answers.items()}
    return [
        RowChange(collection=name, rows_then=then.get(name), rows_now=now.get(name))
        for name in sorted(now.keys() | then.keys())
        if then.get(name) != now.get(name)
    ]
