"""Rules for names inside Milvus.

The embedded engine uses names as names of files and directories. A name is data, never a path: it
holds no separator and no control character, is neither `.` nor `..`, and leaves room for the
suffixes of the engine's files. Every other server decides about its names itself; there, only what
no server can hold is refused.

Pure: the gateway of a cluster, the services, the policies and the pages all ask here.
"""

from __future__ import annotations

import enum
import re
import unicodedata

MAX_NAME_BYTES = 255
"""Of one file name, on every file system that is in question, and of a name in Milvus."""
MAX_INDEX_TYPE_BYTES = 32
MAX_SNAPSHOT_BYTES = 201

INDEX_FILE_AROUND_FIELD = (
    len(f"data_{2**63 - 1}_{2**63 - 1}") + len(".") + len(".") + MAX_INDEX_TYPE_BYTES + len(".sidx")
)
"""An index file is called `data_<first>_<last>.<field>.<index type>.sidx`; this is the longest rest
beside the field's name."""
MAX_FIELD_BYTES = MAX_NAME_BYTES - INDEX_FILE_AROUND_FIELD

RESERVED_PREFIX = "_vbase_"
"""Collections whose names begin so are the console's own."""
ALL_PARTITIONS = "_all"
"""The engine's word for every partition: rows that are written to one of that name are lost."""

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
"""Every Milvus gives such a name."""
SEPARATORS = frozenset("/\\\0")
"""The last one ends a path."""
INDEX_TYPE = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
SNAPSHOT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)
SHOWN_CHARACTERS = 80


class Kind(enum.StrEnum):
    """What a name is given to; the value is the word for it in a sentence."""

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
    """The reason why no Milvus can hold this name; empty where one may."""
    reason = (
        _unless_said(name)
        or _unless_fits(name, MAX_NAME_BYTES)
        or _unless_no_path(name)
        or (_unless_header(name) if kind is Kind.DATABASE else "")
    )
    return _sentence(kind, name, reason)


def refusal_of_use(kind: Kind, name: str) -> str:
    """The reason why the embedded engine must not see this name in a call; empty where it may.

    Names that older versions gave and that are no paths stay usable. An empty one names nothing.
    """
    if name and kind in (Kind.INDEX_TYPE, Kind.SNAPSHOT):
        return refusal_of_new(kind, name)
    return _sentence(kind, name, _unless_fits(name, MAX_NAME_BYTES) or _unless_no_path(name))


def refusal_of_new(kind: Kind, name: str) -> str:
    """The reason why the embedded engine cannot give this name; empty where it can."""
    reason = (
        _unless_said(name)
        or _unless_fits(name, MAX_BYTES.get(kind, MAX_NAME_BYTES))
        or _unless_no_path(name)
        or _unless_printable(name)
        or _unless_of_its_kind(kind, name)
    )
    return _sentence(kind, name, reason)


def is_plain(name: str) -> bool:
    """True where every Milvus lets a database or a collection be called so."""
    return PLAIN.fullmatch(name) is not None


def is_reserved(name: str) -> bool:
    return name.startswith(RESERVED_PREFIX)


def shortened(name: str, max_bytes: int) -> str:
    """The beginning of a name that fits, cut between two characters."""
    return name.encode()[: max(max_bytes, 0)].decode(errors="ignore")


def shown(name: str) -> str:
    """The name as a message can hold it: quoted, one line, not too long."""
    cut = name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in f"'{cut}'")


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


def _unless_said(name: str) -> str:
    return "" if name else "it is empty"


def _unless_fits(name: str, max_bytes: int) -> str:
    """Asked first, so that the other questions are about few characters."""
    length = len(name.encode(errors="surrogatepass"))
    return f"it has {length} bytes, and {max_bytes} are the most" if length > max_bytes else ""


def _unless_text(name: str) -> str:
    """Half a surrogate pair is a character of Python's, and of no file system and no protocol."""
    return "it is no valid UTF-8" if any("\ud800" <= each <= "\udfff" for each in name) else ""


def _unless_free_of(characters: frozenset[str], name: str) -> str:
    found = sorted(characters & set(name))
    return f"it holds {' and '.join(map(ascii, found))}" if found else ""


def _unless_printable(name: str) -> str:
    held = any(unicodedata.category(each) == "Cc" for each in name)
    return "it holds a control character" if held else ""


def _unless_header(name: str) -> str:
    """A database's name travels with every call as a header of HTTP/2."""
    travels = name.isascii() and name.isprintable() and name == name.strip()
    return "" if travels else "it holds more than printable ASCII, or a space at an end"


def _sentence(kind: Kind, name: str, reason: str) -> str:
    if not reason:
        return ""
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{shown(name)} cannot be the name of {article} {kind}: {reason}. Choose another name."
