"""Rules for names inside Milvus. Pure, used by the gateway, services, policies and pages.

The embedded engine uses names as names of files and directories. A name is data, never a path: it
contains no separator and no control character, is neither `.` nor `..`, and is short enough for the
suffixes of the engine's files. Other servers decide about their names themselves, so that only
names that no server accepts are refused there.
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
"""Longest part beside the field's name in `data_<first>_<last>.<field>.<index type>.sidx`."""
MAX_FIELD_BYTES = MAX_NAME_BYTES - INDEX_FILE_AROUND_FIELD

RESERVED_PREFIX = "_vbase_"
"""Prefix of the console's own collections."""
ALL_PARTITIONS = "_all"
"""The engine's word for all partitions. Rows in a partition of this name are lost."""

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
"""Names that every Milvus accepts for databases and collections."""
SEPARATORS = frozenset("/\\\0")
INDEX_TYPE = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
SNAPSHOT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)
SHOWN_CHARACTERS = 80


class Kind(enum.StrEnum):
    """Kind of a named object. The value is its word in messages."""

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
    """Return the reason why no Milvus accepts this name, or an empty text."""
    reason = (
        _unless_empty(name)
        or _unless_fits(name, MAX_NAME_BYTES)
        or _unless_no_path(name)
        or (_unless_header(name) if kind is Kind.DATABASE else "")
    )
    return _sentence(kind, name, reason)


def refusal_of_use(kind: Kind, name: str) -> str:
    """Return the reason why the embedded engine must not receive this name, or an empty text.

    Names from older versions stay usable unless they are paths. An empty name refers to nothing.
    """
    if name and kind in (Kind.INDEX_TYPE, Kind.SNAPSHOT):
        return refusal_of_new(kind, name)
    return _sentence(kind, name, _unless_fits(name, MAX_NAME_BYTES) or _unless_no_path(name))


def refusal_of_new(kind: Kind, name: str) -> str:
    """Return the reason why the embedded engine cannot create this name, or an empty text."""
    reason = (
        _unless_empty(name)
        or _unless_fits(name, MAX_BYTES.get(kind, MAX_NAME_BYTES))
        or _unless_no_path(name)
        or _unless_printable(name)
        or _unless_of_its_kind(kind, name)
    )
    return _sentence(kind, name, reason)


def is_plain(name: str) -> bool:
    return PLAIN.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    return name.startswith(RESERVED_PREFIX)


def shortened(name: str, max_bytes: int) -> str:
    """Cut a name to `max_bytes`, between two characters."""
    return name.encode()[: max(max_bytes, 0)].decode(errors="ignore")


def shown(name: str) -> str:
    """Quote a name for a message, on one line and of limited length."""
    cut = name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"
    return "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in f"'{cut}'"
    )


def _unless_no_path(name: str) -> str:
    return (
        _unless_text(name)
        or _unless_free_of(SEPARATORS, name)
        or ("it means a directory" if name in (".", "..") else "")
    )


def _unless_of_its_kind(kind: Kind, name: str) -> str:
    if kind is Kind.DATABASE:
        return _unless_header(name)
    if kind is Kind.PARTITION and name == ALL_PARTITIONS:
        return "the engine calls all partitions so"
    if kind is Kind.INDEX_TYPE and not INDEX_TYPE.fullmatch(name):
        return "it holds more than letters, digits and underscores"
    if kind is Kind.SNAPSHOT and not SNAPSHOT.fullmatch(name):
        return "it holds more than letters, digits, '.', '_' and '-', or begins with '.'"
    return ""


def _unless_empty(name: str) -> str:
    return "" if name else "it is empty"


def _unless_fits(name: str, max_bytes: int) -> str:
    """Check the length first, so that the other checks read few characters."""
    length = len(name.encode(errors="surrogatepass"))
    return f"it has {length} bytes, and {max_bytes} are the most" if length > max_bytes else ""


def _unless_text(name: str) -> str:
    """Refuse half a surrogate pair, which Python allows but no file system and no protocol."""
    return (
        "it is no valid UTF-8"
        if any("\ud800" <= character <= "\udfff" for character in name)
        else ""
    )


def _unless_free_of(characters: frozenset[str], name: str) -> str:
    refused = sorted(characters & set(name))
    return f"it holds {' and '.join(map(ascii, refused))}" if refused else ""


def _unless_printable(name: str) -> str:
    is_control = any(unicodedata.category(character) == "Cc" for character in name)
    return "it holds a control character" if is_control else ""


def _unless_header(name: str) -> str:
    """Refuse names that are no HTTP/2 header, because every call sends the database as one."""
    is_header = name.isascii() and name.isprintable() and name == name.strip()
    return "" if is_header else "it holds more than printable ASCII, or a space at an end"


def _sentence(kind: Kind, name: str, reason: str) -> str:
    if not reason:
        return ""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{shown(name)} cannot be the name of {article} {kind}: {reason}. Choose another name."
