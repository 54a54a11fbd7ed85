"""Differences of audit entries, old → new, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from django.utils.text import capfirst

from vbase_console.core.labels import label_of, value_in_words
from vbase_console.organizations import differences


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    label: str
    old: str
    """Empty if the row does not contain the earlier value."""
    new: str


def differences_of(changes: Mapping[str, list[object]] | None) -> list[Difference]:
    """Return the differences of an audit entry that every member may read."""
    return [
        Difference(
            label=capfirst(label_of(name)),
            old="" if name == differences.CONNECTION else _flat(value_in_words(name, old)),
            new=_flat(value_in_words(name, new)),
        )
        for name, (old, new) in differences.shown(changes).items()
    ]


def _flat(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return "none"
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key}={text}" for key, text in value.items())
        case _:
            return str(value)
