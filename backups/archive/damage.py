"""Damage of an archive, as text for terminals and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


class ArchiveDamaged(Exception):
    """A file of the archive differs from the written one and must not be used."""

    permanent = True

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


MAX_SUMMARIZED = 10
ALL_PARTS = "parts"
"""File name of a finding about all parts."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A damaged file of an archive. `file` is empty if unknown."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}" if self.file else self.problem


def summarize(findings: Sequence[Finding]) -> str:
    more = len(findings) - MAX_SUMMARIZED
    tail = [f"and {more} more"] if more > 0 else []
    return "; ".join([*map(str, findings[:MAX_SUMMARIZED]), *tail])


def printable(name: str) -> str:
    """Escape control characters, because names of foreign files are untrusted."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
