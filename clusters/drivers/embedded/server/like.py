"""LIKE on fields of JSON without backtracking.

The engine converts each `%` to `.*`. One filter with twenty of them on one row occupied the whole
process for hours, because regular expressions in Python let no other thread run.
"""

from __future__ import annotations

import re

from milvus_lite.search.filter.eval import python_backend


def install() -> None:
    """Replace the engine's translation of patterns. Idempotent."""
    python_backend._like_to_regex = expression_for


def expression_for(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that matches the same texts as the SQL pattern.

    The groups are atomic, because the leftmost match of a part leaves the longest rest for the
    parts behind it, so that no other match has to be tried.
    """
    first, *others = map(_literal, pattern.split("%"))
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    end = f".*{others[-1]}" if others else ""
    return re.compile(rf"\A{first}{between}{end}\Z", re.DOTALL)


def _literal(part: str) -> str:
    return "".join("." if character == "_" else re.escape(character) for character in part)
