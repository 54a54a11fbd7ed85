"""Conversion between camelCase on the wire and snake_case in the code."""

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
    """Return `given` with its keys in camelCase; `names` are the fields in snake_case.

    Fields with null are omitted. Raises ValidationError for unknown fields, and for a field that is
    given in both spellings.
    """
    spelled = {spelling: camel(name) for name in names for spelling in (name, camel(name))}
    fields = ", ".join(dict.fromkeys(spelled.values()))
    unknown = [key for key in given if key not in spelled][:MAX_REPORTED_UNKNOWN]
    text = f"Unknown field. Known fields: {fields}." if fields else NO_FIELDS_MESSAGE
    errors = {_printable(key): [text] for key in unknown}
    for spelling, name in spelled.items():
        if spelling != name and spelling in given and name in given:
            errors[name] = [f"Sent twice, as {name} and as {spelling}. Send it once."]
    if errors:
        raise ValidationError(errors)
    return {spelled[key]: value for key, value in given.items() if value is not None}


def _printable(key: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in key)
    if len(printable) <= MAX_REPORTED_LENGTH:
        return printable
    return f"{printable[:MAX_REPORTED_LENGTH]}…"
