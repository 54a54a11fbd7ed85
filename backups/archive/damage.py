"""What is wrong with an archive, in words that a terminal and a page can show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


class ArchiveDamaged(Exception):
    """A file of the archive is not what was written; nothing more of it should be used."""

    permanent = True

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


MAX_SUMMARIZED = 10
ALL_PARTS = "parts"
"""The file of a finding that means every part."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A file of an archive that is not as it was sealed; an empty `file` is not known."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}" if self.file else self.problem


def summarize(findings: Sequence[Finding]) -> str:
    """Format findings in one line, with the number of those beyond MAX_SUMMARIZED."""
    more = len(findings) - MAX_SUMMARIZED
    tail = [f"and {more} more"] if more > 0 else []
    return "; ".join([*map(str, findings[:MAX_SUMMARIZED]), *tail])


def printable(name: str) -> str:
    """A foreign file can have any name; it must not play with the reader's terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in name)
