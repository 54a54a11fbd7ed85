"""Plan of a rollout, for pages and API: what each upgrade would do. Changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from clusters.driver import capabilities_of, driver_of, versions_of
from clusters.models import Cluster
from clusters.rollouts import reason_of, refusals
from clusters.upgrade_plans import (
    PastUpgrade,
    effects_of,
    past_upgrades,
    reachable_versions,
    usual_seconds,
)
from vbase_console.core.errors import ConsoleError, FailedPrecondition
from vbase_console.organizations.tenancy import Principal

NO_VERSION = "No other version is available."


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """Upgrade of one cluster. The numbers are None if the driver does not know them."""

    cluster: Cluster
    refusal: str = ""
    """Reason why the cluster cannot be upgraded now. Empty: it can."""
    backs_up: bool = False
    effects: Sequence[str] = ()
    data_bytes: int | None = None
    needed_bytes: int | None = None
    free_bytes: int | None = None
    usual_seconds: int | None = None

    @property
    def named_refusal(self) -> str:
        """The refusal with the name of the cluster in place of its ids."""
        text = self.refusal.replace(self.cluster.cluster_id, self.cluster.name)
        return text.replace(self.cluster.service_id, self.cluster.name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    version: str
    """Empty if no cluster can be changed to another version."""
    versions: Sequence[str]
    """Versions that at least one of the clusters can be changed to, newest first."""
    steps: Sequence[PlannedStep]

    @property
    def possible(self) -> list[PlannedStep]:
        return [step for step in self.steps if not step.refusal]

    @property
    def refused(self) -> list[PlannedStep]:
        return [step for step in self.steps if step.refusal]

    def smallest_first(self) -> RolloutPlan:
        """Return the plan with the least data first, so that a failure costs the least time."""
        steps = sorted(self.steps, key=lambda step: step.data_bytes or 0)
        return dataclasses.replace(self, steps=steps)

    @property
    def needed_bytes(self) -> int | None:
        """Space for all copies, because each is kept for a while."""
        return _sum_of([step.needed_bytes for step in self.possible])

    @property
    def free_bytes(self) -> int | None:
        known = [step.free_bytes for step in self.possible if step.free_bytes is not None]
        return min(known, default=None)

    @property
    def effects(self) -> dict[str, Sequence[str]]:
        """Present version → changes that clients of its clusters notice."""
        return {step.cluster.version: step.effects for step in self.possible if step.effects}

    @property
    def usual_seconds(self) -> int | None:
        return _sum_of([step.usual_seconds for step in self.possible])


def plan_rollout(
    principal: Principal,
    clusters: Sequence[Cluster],
    *,
    version: str = "",
    backup_first: bool = True,
) -> RolloutPlan:
    """Describe the upgrade of clusters to `version`, or to the newest possible one."""
    versions = _versions_of(clusters)
    target = version or next(iter(versions), "")
    refused: Mapping[str, ConsoleError] = (
        refusals(clusters, target, backup_first=backup_first)
        if target
        else {cluster.cluster_id: FailedPrecondition(NO_VERSION) for cluster in clusters}
    )
    past = past_upgrades(principal.organization_id)
    steps = [
        _planned(cluster, target, refused.get(cluster.cluster_id), past, backup_first)
        for cluster in clusters
    ]
    return RolloutPlan(version=target, versions=versions, steps=steps)


def _versions_of(clusters: Sequence[Cluster]) -> list[str]:
    """Return the versions that at least one cluster can be changed to, in the driver's order."""
    offered = dict.fromkeys(version for cluster in clusters for version in versions_of(cluster))
    possible = {
        version for cluster in clusters for version in reachable_versions(cluster, cluster.version)
    }
    return [version for version in offered if version in possible]


def _planned(
    cluster: Cluster,
    version: str,
    refusal: ConsoleError | None,
    past: Sequence[PastUpgrade],
    backup_first: bool,
) -> PlannedStep:
    if refusal is not None:
        return PlannedStep(cluster=cluster, refusal=reason_of(refusal))
    capabilities, driver = capabilities_of(cluster), driver_of(cluster)
    size = driver.copy_size(cluster.cluster_id)
    return PlannedStep(
        cluster=cluster,
        backs_up=backup_first and capabilities.stores_rows,
        effects=effects_of(cluster.version, version, capabilities),
        data_bytes=size.total_bytes if size else None,
        needed_bytes=size.needed_bytes if size else None,
        free_bytes=driver.free_bytes(cluster.cluster_id),
        usual_seconds=usual_seconds(past, size.total_bytes) if size else None,
    )


def _sum_of(numbers: Sequence[int | None]) -> int | None:
    """Return None if one of the numbers is not known, or if there is none."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known and len(known) == len(numbers) else None
