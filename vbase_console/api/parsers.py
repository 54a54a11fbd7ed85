"""Request body: one JSON object of limited size and depth."""

from __future__ import annotations

import json
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
    content_type = (request.content_type or "application/json").lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnsupportedMediaType(content_type, "Send the body as application/json.")
    value = _parse(raw)
    if not isinstance(value, dict):
        names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        name = names.get(type(value), "a number")
        raise InvalidArgument(f"The body must be a JSON object, not {name}.")
    _check_depth_and_texts(value)
    return value


def _read(request: HttpRequest) -> bytes:
    """Read the whole body. A body with a too large Content-Length is not read: the web server then
    closes the connection.
    """
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    too_large = f"The body is too large. Send at most {limit} bytes."
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > limit:
        raise InvalidArgument(too_large)
    stream = _stream(request)
    chunks, size = [], 0
    try:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise InvalidArgument(too_large)
            chunks.append(chunk)
    except (OSError, UnreadablePostError) as error:
        raise InvalidArgument("The body ended before it was complete. Send it again.") from error
    return b"".join(chunks)


def _stream(request: HttpRequest) -> Any:
    """Return the stream to read. Django reads a chunked body, which has no length, as an empty one;
    the stream of a server that terminates it can be read to the end.
    """
    if "chunked" not in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return request
    if request.META.get("wsgi.input_terminated"):
        return request.META["wsgi.input"]
    raise InvalidArgument("A chunked body cannot be read here. Send it with a Content-Length.")


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(
            raw.decode(), parse_constant=_refuse_constant, object_pairs_hook=_without_doubles
        )
    except RecursionError as error:
        raise InvalidArgument(_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise InvalidArgument("The body is not UTF-8. Send JSON in UTF-8.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidArgument(f"The body is not JSON ({error.msg}, {where}).") from error
    except ValueError as error:
        raise InvalidArgument("The body contains a number that is too long.") from error


_TOO_DEEP = f"The body is nested too deep. Send at most {MAX_NESTING} levels."


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidArgument(f"The body contains {text}, which is not a JSON number.")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidArgument(f"The body contains '{name[:80]}' twice in one object.")
        members[name] = value
    return members


def _check_depth_and_texts(value: dict[str, Any]) -> None:
    """Refuse deep nesting, and text that UTF-8 cannot encode."""
    level: list[Any] = [value]
    for _ in range(MAX_NESTING):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                try:
                    item.encode()
                except UnicodeEncodeError as error:
                    text = "The body contains half of a surrogate pair. Send whole pairs."
                    raise InvalidArgument(text) from error
            elif isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise InvalidArgument(_TOO_DEEP)
