"""Conversion between messages and the HTTP requests and JSON answers of the endpoints."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from django.core.handlers.wsgi import WSGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.unknown_fields import UnknownFieldSet

from vbase_console.rpc.methods import Method

HEADERS = ("authorization", "idempotency-key")
"""Metadata that the endpoints read as headers."""
MASK = "update_mask"


def http_request(
    method: Method, message: Message, metadata: Mapping[str, str], client: str
) -> tuple[WSGIRequest, dict[str, str]]:
    """Return the request that the HTTP rule of the method states, and the variables of its path."""
    variables = {name: str(getattr(message, name)) for name in method.variables}
    path = method.template.format_map(variables)
    fields = _fields(message, without=method.variables) | dict.fromkeys(_unknown(message), "")
    body = json.dumps(fields).encode() if method.has_body else b""
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": metadata[name]
        for name in HEADERS
        if name in metadata
    }
    request = WSGIRequest(
        {
            "REQUEST_METHOD": method.http_method,
            "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": "" if method.has_body else urlencode(_texts(fields)),
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": client,
            "wsgi.input": io.BytesIO(body),
            **headers,
        }
    )
    return request, variables


def answer_message(method: Method, body: Any) -> Message:
    """Return the message whose JSON mapping is the body.

    Fields without a counterpart are left out: a kept answer may be one of a newer console, and a
    change that is committed must be answered. A test of the contract keeps both sides equal.
    """
    plain = json.loads(json.dumps(body, cls=DjangoJSONEncoder))
    return ParseDict(plain, method.answer(), ignore_unknown_fields=True)


def _unknown(message: Message) -> Iterator[str]:
    """Yield a name for each field that this console does not know, so that it is refused like an
    unknown field of a JSON body: ignoring a `dry_run` would make the change.
    """
    unknown = UnknownFieldSet(message)
    yield from (f"field {unknown[index].field_number}" for index in range(len(unknown)))
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE and not field.is_repeated:
            yield from (f"{field.name}, {name}" for name in _unknown(value))


def _fields(message: Message, *, without: list[str]) -> dict[str, Any]:
    """Return the given fields in camelCase, without the variables of the path. If there is an
    update mask, these are the fields that it names.
    """
    given = type(message)()
    given.CopyFrom(message)
    invalid = {}
    for field, value in message.ListFields():
        is_invalid = isinstance(value, Timestamp) and not _is_instant(value)
        if is_invalid:
            invalid[field.json_name] = ""  # refused by the endpoint, which names the field
        if is_invalid or field.name in (*without, MASK):
            given.ClearField(field.name)
    fields = MessageToDict(given) | invalid
    paths = getattr(message, MASK).paths if hasattr(message, MASK) else ()
    return _masked(message, fields, paths) if paths else fields


def _is_instant(value: Timestamp) -> bool:
    try:
        value.ToJsonString()
    except ValueError:
        return False
    return True


def _masked(message: Message, fields: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the fields that the mask names; those that are not set, as empty ones."""
    by_name = message.DESCRIPTOR.fields_by_name
    organization = by_name["organization_id"].json_name
    masked = {name: fields[name] for name in (organization,) if name in fields}
    for path in paths:
        if path in by_name:
            field = by_name[path]
            masked[field.json_name] = fields.get(field.json_name, _empty(field))
        else:
            masked[path] = ""  # refused as an unknown field, as in a JSON body
    return masked


def _empty(field: Any) -> Any:
    """Return the JSON value of a field (a descriptor) that is not set."""
    if field.is_repeated:
        is_map = field.message_type and field.message_type.GetOptions().map_entry
        return {} if is_map else []
    return field.default_value


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in fields.items()
    }
