"""camelCase on the wire, snake_case inside; requests may use either, but not both for one field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

MAX_REPORTED_LENGTH = 80
MAX_REPORTED_UNKNOWN = 20
NO_FIELDS_MESSAGE = "This address takes none."


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def in_camel(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """`given` with the spelling that the wire prefers; `names` are the fields in snake_case.

    What is null counts as left out. Names that nobody knows and fields that are spelled in both
    ways are refused by name, rather than ignored.
    """
    spelled = {spelling: camel(name) for name in names for spelling in (name, camel(name))}
    errors = _unknown(given, spelled) | _twice(given, spelled)
    if errors:
        raise ValidationError(errors)
    return {spelled[key]: value for key, value in given.items() if value is not None}


def _unknown(given: Mapping[str, Any], spelled: Mapping[str, str]) -> dict[str, list[str]]:
    there_is = ", ".join(dict.fromkeys(spelled.values()))
    unknown = [key for key in given if key not in spelled][:MAX_REPORTED_UNKNOWN]
    said = f"There is no such field; there is: {there_is}." if there_is else NO_FIELDS_MESSAGE
    return {_shown(key): [said] for key in unknown}


def _twice(given: Mapping[str, Any], spelled: Mapping[str, str]) -> dict[str, list[str]]:
    both = {
        name: spelling
        for spelling, name in spelled.items()
        if spelling != name and spelling in given and name in given
    }
    return {
        name: [f"Given twice, as {name} and as {spelling}; give it once."]
        for name, spelling in both.items()
    }


def _shown(key: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in key)
    return (
        printable
        if len(printable) <= MAX_REPORTED_LENGTH
        else f"{printable[:MAX_REPORTED_LENGTH]}…"
    )
