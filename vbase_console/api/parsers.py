"""Request body: one JSON object of limited size and depth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework.exceptions import UnsupportedMediaType

from vbase_console.core.errors import InvalidArgument

MAX_NESTING = 32
CHUNK = 64 * 1024


def read_object(request: HttpRequest) -> dict[str, Any]:
    """Read the JSON object in the body; an empty body is an empty object."""
    raw = _read(request)
    if not raw.strip():
        return {}
    _check_type(request)
    value = _parsed(raw)
    if not isinstance(value, dict):
        raise InvalidArgument(f"The body must be a JSON object, not {_kind(value)}.")
    _check_inside(value)
    return value


def _read(request: HttpRequest) -> bytes:
    """Read the whole body. A body with a too large Content-Length is not read: the web server then
    closes the connection.
    """
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    too_large = InvalidArgument(f"The body is too large; send at most {limit} bytes.")
    if _declared_length(request) > limit:
        raise too_large
    parts, size = [], 0
    for chunk in _chunks(request):
        size += len(chunk)
        if size > limit:
            raise too_large
        parts.append(chunk)
    return b"".join(parts)


def _declared_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() else 0


def _chunks(request: HttpRequest) -> Iterator[bytes]:
    stream = _stream(request)
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except (OSError, UnreadablePostError) as error:
        raise InvalidArgument("The body ended before it was complete; send it again.") from error


def _stream(request: HttpRequest) -> Any:
    """Return the stream to read. Django reads a chunked body, which has no length, as an empty one;
    the stream of a server that terminates it can be read to the end.
    """
    if "chunked" not in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return request
    if request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"]
    raise InvalidArgument("A chunked body cannot be read here; send it with a Content-Length.")


def _check_type(request: HttpRequest) -> None:
    """A body without a Content-Type is JSON."""
    kind = (request.content_type or "").lower()
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        raise UnsupportedMediaType(kind, "Send the body as application/json.")


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode(), parse_constant=_not_a_number, object_pairs_hook=_without_doubles
        )
    except RecursionError as error:
        raise InvalidArgument(_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise InvalidArgument("The body is not UTF-8; send JSON in UTF-8.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidArgument(f"The body is not JSON ({error.msg}, {where}).") from error
    except ValueError as error:
        raise InvalidArgument("The body holds a number that is too long.") from error


_TOO_DEEP = f"The body is nested too deep; {MAX_NESTING} levels are enough for every request."


def _not_a_number(text: str) -> NoReturn:
    raise InvalidArgument(f"The body holds {text}, which is no JSON number.")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidArgument(f"The body gives '{name[:80]}' twice in one object.")
        members[name] = value
    return members


def _check_inside(value: dict[str, Any]) -> None:
    """Refuse deep nesting, and text that UTF-8 cannot encode."""
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        for text in (item for item in level if isinstance(item, str)):
            _check_text(text)
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise InvalidArgument(_TOO_DEEP)


def _inside(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, list) else []


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            "The body holds half of a surrogate pair; send whole ones."
        ) from error


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
