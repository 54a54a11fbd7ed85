from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from clusters.models import NAME
from vbase_console.core.errors import InvalidArgument

MAX_LABELS = 64
MAX_LABEL_KEY_LENGTH = 63
MAX_LABEL_VALUE_LENGTH = 255


def check_name(name: str) -> str:
    """Return the name without outer spaces. Raises InvalidArgument if it is not valid."""
    trimmed = name.strip()
    try:
        NAME(trimmed)
    except ValidationError as error:
        raise InvalidArgument(field_errors={"name": error.messages}) from error
    return trimmed


def check_labels(labels: Mapping[str, object]) -> dict[str, str]:
    """Return the labels unchanged. Raises InvalidArgument if a list page could not show them."""
    problems = [text for text in map(_label_problem, labels.items()) if text]
    if len(labels) > MAX_LABELS:
        problems.append(f"Give at most {MAX_LABELS} labels.")
    if problems:
        raise InvalidArgument(field_errors={"labels": problems})
    return {key: str(value) for key, value in labels.items()}


def _label_problem(label: tuple[str, object]) -> str:
    key, value = label
    shown = key[:80].encode(errors="backslashreplace").decode()
    if not 1 <= len(key) <= MAX_LABEL_KEY_LENGTH:
        return f"'{shown}': a key must have 1 to {MAX_LABEL_KEY_LENGTH} characters."
    if not isinstance(value, str) or len(value) > MAX_LABEL_VALUE_LENGTH:
        return f"'{shown}': a value must be a text of at most {MAX_LABEL_VALUE_LENGTH} characters."
    if not _can_be_stored(key + value):
        return f"'{shown}': a label cannot contain a NUL character or half a surrogate pair."
    return ""


def _can_be_stored(text: str) -> bool:
    """Return False for texts that JSON can encode but no database can store."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
