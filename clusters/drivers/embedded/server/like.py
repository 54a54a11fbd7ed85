"""LIKE on fields of JSON without backtracking.

The engine makes `.*` of each `%`, and one filter with twenty of them on one row kept the whole
process busy for hours: Python's matching of expressions lets no other thread run.
"""

from __future__ import annotations

import re

from milvus_lite.search.filter.eval import python_backend


def install() -> None:
    """Replace the engine's translation of patterns; a second time changes nothing."""
    python_backend._like_to_regex = expression_for


def expression_for(pattern: str) -> re.Pattern[str]:
    """The expression that matches the same texts as the SQL pattern.

    The leftmost place of a part leaves the most room to the parts behind it, so that no other place
    has to be tried: the groups are atomic.
    """
    first, *others = map(_literal, pattern.split("%"))
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    end = f".*{others[-1]}" if others else ""
    return re.compile(rf"\A{first}{between}{end}\Z", re.DOTALL)


def _literal(part: str) -> str:
    return "".join("." if each == "_" else re.escape(each) for each in part)
