"""What a restore has written down: enough to go on from, and to walk back from, after any death."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from backups.archive.codec import decode, strict_json
from backups.restore.preflight import CollectionPlan, Preflight
from backups.restore.swap import OLD_PREFIX, Swap

_TUPLES = ("aliases", "aliases_before")


@dataclasses.dataclass(frozen=True)
class RestoreCheckpoint:
    """A reading of the task's checkpoint; who adds to it writes it under the epoch first."""

    checkpoint: dict[str, Any]

    @property
    def steps(self) -> list[CollectionPlan]:
        kept = self.checkpoint.get("plan", ())
        return [
            CollectionPlan(**step | {name: tuple(step[name]) for name in _TUPLES}) for step in kept
        ]

    @property
    def makes_database(self) -> bool:
        """It was about to make the target database, which was not there."""
        return bool(self.checkpoint.get("makes_database"))

    @property
    def database_properties(self) -> dict[str, str]:
        """Those of the backup's database, for the one that it makes."""
        text = self.checkpoint.get("database_properties", "{}")
        return decode(Mapping[str, str], strict_json(text.encode()), "$")  # type: ignore[no-any-return]

    @property
    def filled(self) -> list[str]:
        """Collections whose hidden copy is whole and compared."""
        return list(self.checkpoint.get("filled", ()))

    @property
    def begun(self) -> list[str]:
        """Collections that were about to take their name."""
        return list(self.checkpoint.get("begun", ()))

    @property
    def unnamed(self) -> list[str]:
        """Collections whose name was taken away again, or was never taken."""
        return list(self.checkpoint.get("unnamed", ()))

    @property
    def swapped(self) -> bool:
        """All have their names: from here on there is no way back, only to the end."""
        return bool(self.checkpoint.get("swapped"))


def planned(found: Preflight) -> dict[str, Any]:
    return {
        "plan": [dataclasses.asdict(step) for step in found.steps],
        "proves": found.proves,
    }


def swaps_of(task_id: str, steps: Sequence[CollectionPlan]) -> list[Swap]:
    """Hidden names carry the task, so that no two restores meet and the janitor knows whose."""
    mark = task_id.replace("-", "_")
    return [
        Swap(
            step=step,
            hidden=f"_vbase_restore_{mark}_{number}",
            old=f"{OLD_PREFIX}{mark}_{number}",
        )
        for number, step in enumerate(steps)
    ]
