"""Rules for names inside Milvus.

The embedded engine uses names as names of files and directories. A name is data, never a path: a
name contains no separator and no control character, is neither `.` nor `..`, and is short enough
for the suffixes of the engine's files. Other servers validate their names themselves, so for them
only names that no server can store are refused.

The module is pure. The gateway of a cluster, the services, the policies and the pages use it.
"""

from __future__ import annotations

import enum
import re
import unicodedata

MAX_NAME_BYTES = 255
"""Limit of a file name on common file systems, and of a name in Milvus."""
MAX_INDEX_TYPE_BYTES = 32
MAX_SNAPSHOT_BYTES = 201

INDEX_FILE_AROUND_FIELD = (
    len(f"data_{2**63 - 1}_{2**63 - 1}") + len(".") + len(".") + MAX_INDEX_TYPE_BYTES + len(".sidx")
)
"""Length of an index file's name without the field's name, at most. Index files are named
`data_<first>_<last>.<field>.<index type>.sidx`."""
MAX_FIELD_BYTES = MAX_NAME_BYTES - INDEX_FILE_AROUND_FIELD

RESERVED_PREFIX = "_vbase_"
"""Prefix of the collections that belong to the console."""
ALL_PARTITIONS = "_all"
"""Keyword of the engine for every partition. Rows written to a partition of this name are lost."""

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
"""Names that every Milvus accepts for a new object."""
SEPARATORS = frozenset("/\\\0")
"""Path separators, and the character that ends a path."""
INDEX_TYPE = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
SNAPSHOT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)
MAX_SHOWN_CHARACTERS = 80


class Kind(enum.StrEnum):
    """Kind of the named object. The value is the word for it in messages."""

    DATABASE = "database"
    COLLECTION = "collection"
    PARTITION = "partition"
    ALIAS = "alias"
    FIELD = "field"
    FUNCTION = "function"
    INDEX = "index"
    INDEX_TYPE = "index type"
    SNAPSHOT = "snapshot"


MAX_BYTES = {
    Kind.FIELD: MAX_FIELD_BYTES,
    Kind.INDEX_TYPE: MAX_INDEX_TYPE_BYTES,
    Kind.SNAPSHOT: MAX_SNAPSHOT_BYTES,
}


def refusal_of_any_server(kind: Kind, name: str) -> str:
    """Return why no Milvus can store this name, or an empty text."""
    reason = (
        _emptiness(name)
        or _excess_length(name, MAX_NAME_BYTES)
        or _path_part(name)
        or (_header_violation(name) if kind is Kind.DATABASE else "")
    )
    return _refusal(kind, name, reason)


def refusal_of_use(kind: Kind, name: str) -> str:
    """Return why a call to the embedded engine must not contain this name, or an empty text.

    Names that older versions accepted stay usable unless they are paths. An empty name refers to no
    object and is allowed.
    """
    if name and kind in (Kind.INDEX_TYPE, Kind.SNAPSHOT):
        return refusal_of_new(kind, name)
    return _refusal(kind, name, _excess_length(name, MAX_NAME_BYTES) or _path_part(name))


def refusal_of_new(kind: Kind, name: str) -> str:
    """Return why the embedded engine cannot create an object of this name, or an empty text."""
    reason = (
        _emptiness(name)
        or _excess_length(name, MAX_BYTES.get(kind, MAX_NAME_BYTES))
        or _path_part(name)
        or _control_character(name)
        or _kind_violation(kind, name)
    )
    return _refusal(kind, name, reason)


def is_plain(name: str) -> bool:
    """Return True if every Milvus accepts the name for a database or a collection."""
    return PLAIN.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    return name.startswith(RESERVED_PREFIX)


def shortened(name: str, max_bytes: int) -> str:
    """Return the beginning of a name within this limit, cut between two characters."""
    return name.encode()[: max(max_bytes, 0)].decode(errors="ignore")


def shown(name: str) -> str:
    """Quote the name for a message: one line, and at most 80 characters of it."""
    cut = name if len(name) <= MAX_SHOWN_CHARACTERS else f"{name[:MAX_SHOWN_CHARACTERS]}…"
    return f"'{printable(cut)}'"


def printable(text: str) -> str:
    """Escape control characters and line breaks."""
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text
    )


def _emptiness(name: str) -> str:
    return "" if name else "the name is empty"


def _excess_length(name: str, max_bytes: int) -> str:
    """Check the length first, so that the other checks read few characters."""
    length = len(name.encode(errors="surrogatepass"))
    return f"the name has {length} bytes, the limit is {max_bytes}" if length > max_bytes else ""


def _path_part(name: str) -> str:
    # Python accepts half a surrogate pair as a character; file systems and protocols do not.
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "the name is not valid UTF-8"
    if separators := sorted(SEPARATORS & set(name)):
        return f"the name contains {' and '.join(map(ascii, separators))}"
    return "the name means a directory" if name in (".", "..") else ""


def _control_character(name: str) -> str:
    has_control_character = any(unicodedata.category(character) == "Cc" for character in name)
    return "the name contains a control character" if has_control_character else ""


def _kind_violation(kind: Kind, name: str) -> str:
    if kind is Kind.DATABASE:
        return _header_violation(name)
    if kind is Kind.PARTITION and name == ALL_PARTITIONS:
        return "the engine uses this name for all partitions"
    if kind is Kind.INDEX_TYPE and not INDEX_TYPE.fullmatch(name):
        return "only letters, digits and '_' are allowed"
    if kind is Kind.SNAPSHOT and not SNAPSHOT.fullmatch(name):
        return "only letters, digits, '.', '_' and '-' are allowed, and the first must not be '.'"
    return ""


def _header_violation(name: str) -> str:
    """Check a database's name, which every call contains as an HTTP/2 header."""
    is_header = name.isascii() and name.isprintable() and name == name.strip()
    return "" if is_header else "only printable ASCII without a space at either end is allowed"


def _refusal(kind: Kind, name: str, reason: str) -> str:
    if not reason:
        return ""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{shown(name)} cannot be the name of {article} {kind}: {reason}. Choose another name."
