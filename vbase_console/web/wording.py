"""Messages of services in the words of pages: names instead of ids, words instead of constants.

Services name ids and states as the API does. Pages show the same messages to people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set

from vbase_console.core.hooks import Query
from vbase_console.core.labels import KINDS_OF_REQUESTERS
from vbase_console.organizations.tenancy import Principal

NOUNS = {
    "vc": "the cluster",
    "svc": "the cluster",
    "bak": "the backup",
    "pol": "the policy",
    "roll": "a rollout",
    "task": "the task",
    "job": "the job",
}
"""Prefix of an id → noun for an object whose name is not known."""
WORDS_OF_CONSTANTS = {
    "UPDATE_FAILED": "in error after a failed change",
    "ERROR": "in error",
    "GONE": "deleted",
    "ABSENT": "not deployed",
    "UNSEEN": "unknown",
    "VERSION_UPGRADE": "upgrade",
}
"""Constants whose words differ from their letters. Every other constant is put into lower case."""
LABELS_OF_FIELDS = {"backupFirst": "Back up first"}
"""Field of the API that a message names → label of the same field in a form."""
STATES = frozenset(
    {
        *("UNKNOWN", "CREATING", "RUNNING", "UPDATING", "RESIZING", "STOPPING", "STOPPED"),
        *("DELETING", "DELETED", "UPDATE_FAILED", "ERROR", "ABSENT", "BROKEN", "GONE", "UNSEEN"),
        *("PENDING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED", "AVAILABLE", "SKIPPED"),
    }
)
KINDS = frozenset(
    {
        *("DEPLOYMENT", "SCALING", "VERSION_UPGRADE", "RESTART", "DELETION", "STOP", "START"),
        *("BACKUP", "RESTORE", "VERIFY", "DELETE"),
    }
)
TASK_ID = re.compile(r"^(task|job)-[0-9a-z]{16}$")
CODE = re.compile(r"^[A-Z_]+: ")
"""Code of an error at the beginning of its message."""
CONSTANT = re.compile(rf"\b(?:{'|'.join(sorted(STATES | KINDS, key=len, reverse=True))})\b")
PATTERN = re.compile(
    rf"(?P<aside> \((?:task|job)-[0-9a-z]{{16}}\)| '(?:{'|'.join(NOUNS)})-[0-9a-z]{{16}}')"
    rf"|(?:^|(?<=by ))(?P<requester>{'|'.join(KINDS_OF_REQUESTERS)}):"
    rf"|(?:\bpolicy:)?(?P<id>\b(?:{'|'.join(NOUNS)})-[0-9a-z]{{16}}\b)"
    rf"(?: \((?P<kind>{'|'.join(KINDS)})\))?"
    rf"|(?P<field>\b(?:{'|'.join(LABELS_OF_FIELDS)})\b)"
    rf"|(?P<constant>{CONSTANT.pattern})"
)


@Query
def names_of(principal: Principal, ids: Set[str]) -> Mapping[str, str]:
    """Return the names of objects that the principal may list. The search implements it."""
    return {}


def readable(message: str, principal: Principal | None = None) -> str:
    """Return a message without ids and constants. With a principal, objects have their names."""
    ids = {match["id"] for match in PATTERN.finditer(message) if match["id"]}
    names = names_of(principal, ids) if principal and ids else {}

    def words(match: re.Match[str]) -> str:
        if match["aside"]:
            return ""
        if match["field"]:
            return f"“{LABELS_OF_FIELDS[match['field']]}”"
        name = names.get(match["id"] or "")
        if name and not match["kind"]:
            return name
        text = match["kind"] or match["constant"]
        if match["requester"]:
            phrase = f"{KINDS_OF_REQUESTERS[match['requester']]} "
        elif text:
            phrase = constant_in_words(text)
        else:
            phrase = NOUNS[match["id"].partition("-")[0]]
        if match["kind"]:
            phrase = f"the task “{phrase}”"
        before = message[: match.start()]
        starts_sentence = not before or before.endswith((". ", "\n"))
        return phrase[0].upper() + phrase[1:] if starts_sentence else phrase

    return PATTERN.sub(words, message)


def without_constants(message: str) -> str:
    """Return a message with its ids, for support staff who act on several objects at once."""
    return CONSTANT.sub(lambda match: constant_in_words(match[0]), message)


def reason_of(detail: str) -> str:
    """Return the detail of an audit entry in words: without the code of an error, and nothing for
    the id of an accepted task.
    """
    return "" if TASK_ID.match(detail) else readable(CODE.sub("", detail))


def constant_in_words(name: str) -> str:
    return WORDS_OF_CONSTANTS.get(name, name.replace("_", " ").lower())
