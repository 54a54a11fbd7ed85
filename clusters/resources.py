"""A cluster's resources as a value, and their rules for every interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from clusters.drivers.base import Capabilities
from clusters.models import MAX_COMPUTE_UNITS, Cluster
from vbase_console.core.errors import InvalidArgument


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """Requested resources, and the units that autoscaling has chosen within their bounds.

    `compute_units` is always the last requested number. With autoscaling it is the lower bound, and
    `max_compute_units` the upper bound.
    """

    version: str
    compute_units: int = 1
    enable_auto_scaling: bool = False
    max_compute_units: int = 1
    autoscaled_units: int = 0
    enable_replicas: bool = False
    replicas: int = 1

    @property
    def units(self) -> int:
        if not self.enable_auto_scaling:
            return self.compute_units
        return max(self.compute_units, self.autoscaled_units)

    def changed(self, changes: Mapping[str, Any]) -> Resources:
        """Return a copy with `changes`, except those that are None.

        A larger `compute_units` raises the upper bound, unless `changes` contain one.
        """
        values = {field: value for field, value in changes.items() if value is not None}
        units = values.get("compute_units", self.compute_units)
        if "max_compute_units" not in values and units > self.max_compute_units:
            values["max_compute_units"] = units
        changed = dataclasses.replace(self, **values)
        # Autoscaling may not exceed a bound that was lowered; without it, its units are dropped.
        limit = changed.max_compute_units if changed.enable_auto_scaling else 0
        return dataclasses.replace(changed, autoscaled_units=min(changed.autoscaled_units, limit))

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


UNITS_RANGE = f"Give 1 to {MAX_COMPUTE_UNITS} compute units."
FIELDS = tuple(field.name for field in dataclasses.fields(Resources))


def resources_of(cluster: Cluster) -> Resources:
    return Resources(**{field: getattr(cluster, field) for field in FIELDS})


def possible_upgrades(present: str, capabilities: Capabilities) -> list[str]:
    """Versions that a cluster of this version can be changed to, newest first."""
    if capabilities.upgrades is None:
        return [version for version in capabilities.versions if version != present]
    reachable = capabilities.upgrades.get(present, ())
    return [version for version in capabilities.versions if version in reachable]


def _version_problem(version: str, capabilities: Capabilities, present: str) -> str:
    if version not in capabilities.versions:
        offered = ", ".join(capabilities.versions)
        return f"Version '{version}' is not available. Available versions: {offered}."
    if present and version not in (possible := possible_upgrades(present, capabilities)):
        names = ", ".join(possible) or "none"
        return f"{present} cannot be changed to {version}. Possible upgrades: {names}."
    return ""


def check_resources(resources: Resources, capabilities: Capabilities, *, present: str = "") -> None:
    """Raise InvalidArgument with every invalid field and its valid values.

    `present` is the version that the cluster has. It is kept although it may not be offered.
    """
    errors: dict[str, list[str]] = {}
    if not 1 <= resources.compute_units <= MAX_COMPUTE_UNITS:
        errors["compute_units"] = [UNITS_RANGE]
    if not 1 <= resources.max_compute_units <= MAX_COMPUTE_UNITS:
        errors["max_compute_units"] = [UNITS_RANGE]
    elif resources.max_compute_units < resources.compute_units:
        errors["max_compute_units"] = [
            f"The upper bound must be at least {resources.compute_units}, the compute units."
        ]
    if resources.version != present and (
        problem := _version_problem(resources.version, capabilities, present)
    ):
        errors["version"] = [problem]
    if not 1 <= resources.replicas <= capabilities.max_replicas:
        most = capabilities.max_replicas
        offered = f"1 to {most} replicas" if most > 1 else "1 replica"
        errors["replicas"] = [f"The {capabilities.name} driver offers {offered}."]
    if resources.enable_auto_scaling and not capabilities.supports_load:
        errors["enable_auto_scaling"] = [
            f"The {capabilities.name} driver measures no load. Autoscaling is not available."
        ]
    if errors:
        raise InvalidArgument(field_errors=errors)
