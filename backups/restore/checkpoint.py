"""Checkpoint of a restore: the state from which a later attempt continues or undoes the restore."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from backups.archive.codec import decode, strict_json
from backups.restore.preflight import CollectionPlan, Preflight
from backups.restore.swap import OLD_PREFIX, Swap

_TUPLES = ("aliases", "aliases_before")
PLANNED_GROUPS = "planned_privilege_groups"
PLANNED_ROLES = "planned_roles"
"""Checkpoint keys: names that did not exist on the server when the restore was planned."""


@dataclasses.dataclass(frozen=True)
class RestoreCheckpoint:
    """Typed view of the task's checkpoint. Writes go through `Attempt.save_checkpoint`."""

    checkpoint: dict[str, Any]

    @property
    def steps(self) -> list[CollectionPlan]:
        return [
            CollectionPlan(**step | {name: tuple(step[name]) for name in _TUPLES})
            for step in self.checkpoint.get("plan", ())
        ]

    @property
    def makes_database(self) -> bool:
        """True once the restore may have created the target database."""
        return bool(self.checkpoint.get("makes_database"))

    @property
    def database_properties(self) -> dict[str, str]:
        """Properties of the backup's database, for the database that the restore creates."""
        text = self.checkpoint.get("database_properties", "{}")
        return decode(Mapping[str, str], strict_json(text.encode()), "$")  # type: ignore[no-any-return]

    @property
    def filled(self) -> list[str]:
        """Collections whose hidden copy is complete and compared."""
        return list(self.checkpoint.get("filled", ()))

    @property
    def identical(self) -> list[str]:
        """Collections whose rows were all read back and equal those of the backup."""
        return list(self.checkpoint.get("identical", ()))

    @property
    def begun(self) -> list[str]:
        """Collections whose swap has started."""
        return list(self.checkpoint.get("begun", ()))

    @property
    def unnamed(self) -> list[str]:
        """Collections whose rename is undone, or was never made."""
        return list(self.checkpoint.get("unnamed", ()))

    @property
    def swapped(self) -> bool:
        """True once all collections have their names. The restore cannot be undone then."""
        return bool(self.checkpoint.get("swapped"))


def plan_json(result: Preflight) -> dict[str, Any]:
    return {
        "plan": [dataclasses.asdict(step) for step in result.steps],
        "proves": result.proves,
        PLANNED_GROUPS: [group.name for group in result.access.groups],
        PLANNED_ROLES: [role.name for role in result.access.roles],
    }


def swaps_of(task_id: str, steps: Sequence[CollectionPlan]) -> list[Swap]:
    """Derive the hidden names from the task id, so that restores do not collide and the janitor can
    find the restore of a hidden collection.
    """
    mark = task_id.replace("-", "_")
    return [
        Swap(
            step=step,
            hidden=f"_vbase_restore_{mark}_{number}",
            old=f"{OLD_PREFIX}{mark}_{number}",
        )
        for number, step in enumerate(steps)
    ]
