"""Key ranges: pieces of a partition that can be requested at the same time."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Self

from backups.archive.description import FieldDescription
from backups.milvus import keys

FIRST_PAGE_ROWS = 4096
_GROWTH = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadRange:
    """Keys of a partition after `after`, up to and including `up_to`. None means no bound."""

    number: int
    """Position of the partition in its collection."""
    partition: str | None
    after: keys.Key | None
    up_to: keys.Key | None = None

    def expression(self, key: FieldDescription) -> str:
        lower = keys.every(key) if self.after is None else keys.after(key, self.after)
        return lower if self.up_to is None else f"{lower} and {keys.up_to(key, self.up_to)}"

    def holds(self, listed: Sequence[Any]) -> bool:
        """Return True if the keys of a page are sorted and inside the range."""
        return (
            (self.after is None or listed[0] > self.after)
            and (self.up_to is None or listed[-1] <= self.up_to)
            and all(first <= second for first, second in itertools.pairwise(listed))
        )

    def rest(self, listed: Sequence[keys.Key]) -> Self | None:
        """Return the range after a page with these keys, or None if the range ended."""
        if not listed or listed[-1] == self.up_to or keys.is_last(listed[-1]):
            return None
        return dataclasses.replace(self, after=listed[-1])

    def split(self, listed: Sequence[keys.Key], page_rows: int) -> Iterator[ReadRange]:
        """Split the keys listed from this range into pieces of about equal size."""
        pieces = -(-len(listed) // page_rows)
        after = self.after
        for piece in range(1, pieces + 1):
            up_to = listed[len(listed) * piece // pieces - 1]
            yield dataclasses.replace(self, after=after, up_to=up_to)
            after = up_to


class PageSize:
    """Rows to request, so that an answer has about `page_bytes`. Adapts to the answers."""

    def __init__(self, page_bytes: int, max_rows: int) -> None:
        self._page_bytes = page_bytes
        self._max_rows = max_rows
        self.rows = min(FIRST_PAGE_ROWS, max_rows)
        self.is_measured = False
        """True after the first answer. Until then the bytes of a row are unknown."""

    def measure(self, rows: int, answer_bytes: int) -> None:
        fitting = self._page_bytes * rows // max(1, answer_bytes)
        self.rows = max(1, min(fitting, self.rows * _GROWTH, self._max_rows))
        self.is_measured = True

    def reduce(self, refused_rows: int) -> None:
        """Request at most half of the rows that were too large for a message."""
        self._max_rows = self.rows = max(1, min(self.rows, refused_rows // 2))
