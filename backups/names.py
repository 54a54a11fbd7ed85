"""What databases and collections can be called.

Milvus takes letters, digits and underscores. The embedded engine makes more than that, and what is
there can be backed up whatever it is called; what no server makes is looked for in none.
"""

from __future__ import annotations

import re

LONGEST = 255
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_NOWHERE = frozenset("/\\\0")


def is_name(text: str) -> bool:
    """Whether every Milvus lets a database or a collection be called so."""
    return _NAME.fullmatch(text) is not None


def can_be_collection(text: str) -> bool:
    """Whether some server may have a collection of that name."""
    return bool(text) and not _NOWHERE & set(text) and fits(text)


def can_be_database(text: str) -> bool:
    """The name travels with every call as a header, which holds printable ASCII alone."""
    travels = text.isascii() and text.isprintable() and text == text.strip()
    return travels and can_be_collection(text)


def fits(text: str) -> bool:
    return len(text.encode()) <= LONGEST
