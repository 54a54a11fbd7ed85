from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from backups.archive.manifest import CollectionContent
from vbase_console.tasks.attempts import Attempt

INSERTING = "inserting"
COMPARING = "comparing"
INDEXING = "indexing"
WEIGHTS = {INSERTING: 3, COMPARING: 1, INDEXING: 4}
"""Relative cost of a byte of rows per phase, measured on the embedded engine with an HNSW index."""
BEGIN, END = 2, 95


class RestoreProgress:
    def __init__(self, attempt: Attempt, contents: Iterable[CollectionContent]) -> None:
        self._attempt = attempt
        self._work = {
            (content.description.name, phase): max(1, content.bytes) * weight
            for content in contents
            for phase, weight in WEIGHTS.items()
            if phase != INDEXING or content.description.indexes
        }
        self._done = dict.fromkeys(self._work, Fraction(0))

    def report(self, name: str, phase: str, done: int, total: int, message: str) -> None:
        """Report progress. Raises if the job must stop."""
        self._reach(name, phase, Fraction(done, total) if total else Fraction(0))
        self._attempt.safe_point_now()
        self._attempt.report(self.percent, phase, message)

    def passed(self, name: str, *phases: str) -> None:
        for phase in phases:
            self._reach(name, phase, Fraction(1))

    @property
    def percent(self) -> int:
        done = sum(self._work[step] * part for step, part in self._done.items())
        return BEGIN + int((END - BEGIN) * done / max(1, sum(self._work.values())))

    def _reach(self, name: str, phase: str, part: Fraction) -> None:
        if (name, phase) in self._done:
            self._done[name, phase] = max(self._done[name, phase], min(part, Fraction(1)))
