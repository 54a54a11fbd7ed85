"""Errors of the endpoints as `google.rpc.Status` with details."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from vbase_console.core.errors import InvalidArgument
from vbase_console.rpc.methods import PACKAGE

DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_BYTES = 1500
MAX_DETAILS_BYTES = 3000
"""Clients may refuse more than 8 KiB of trailing metadata, in which the message is percent-encoded
and the details, which repeat it, are in base64.
"""
INDEX = re.compile(r"\[\d+\]$")


def status_of(
    error: Mapping[str, Any], request: type[Message], *, retry_after: str | None = None
) -> status_pb2.Status:
    """Return the status for the `response` of an error body."""
    code = grpc.StatusCode[error["code"]]
    wire_errors: Mapping[str, Sequence[str]] = error.get("fieldErrors") or {}
    field_errors = {
        _proto_name(name, request.DESCRIPTOR): texts for name, texts in wire_errors.items()
    }
    message = str(error["message"])
    if message == InvalidArgument(field_errors=wire_errors).message:
        message = InvalidArgument(field_errors=field_errors).message
    status = status_pb2.Status(code=code.value[0], message=_cut(message))
    _add(status, error_details_pb2.ErrorInfo(reason=code.name, domain=PACKAGE))
    if retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = int(retry_after)
        _add(status, retry)
    if field_errors:
        _add(status, _bad_request(field_errors, MAX_DETAILS_BYTES - status.ByteSize()))
    return status


def grpc_code(status: status_pb2.Status) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == status.code)


def trailing_metadata(status: status_pb2.Status) -> tuple[tuple[str, bytes], ...]:
    return ((DETAILS_KEY, status.SerializeToString()),)


def _bad_request(
    field_errors: Mapping[str, Sequence[str]], limit: int
) -> error_details_pb2.BadRequest:
    bad_request = error_details_pb2.BadRequest()
    for name, texts in field_errors.items():
        violation = bad_request.field_violations.add(field=_cut(name), description="")
        violation.description = _cut(" ".join(texts))
        if bad_request.ByteSize() > limit:
            del bad_request.field_violations[-1]
            break
    return bad_request


def _proto_name(path: str, message: Any) -> str:
    """Return a path of wire names, such as resourceConfig.computeUnits, in the names of the proto
    file. `message` is the descriptor of its first name's message.
    """
    names = []
    for part in path.split("."):
        bare = INDEX.sub("", part)
        fields = message.fields if message is not None else ()
        field = next((field for field in fields if field.json_name == bare), None)
        names.append(part if field is None else field.name + part.removeprefix(bare))
        message = field.message_type if field is not None else None
    return ".".join(names)


def _add(status: status_pb2.Status, detail: Any) -> None:
    status.details.add().Pack(detail)


def _cut(text: str) -> str:
    """Shorten a text to `MAX_MESSAGE_BYTES` as it is sent."""
    if len(quote(text)) <= MAX_MESSAGE_BYTES:
        return text
    while len(quote(text)) > MAX_MESSAGE_BYTES - len(quote("…")):
        text = text[: len(text) * 9 // 10]
    return f"{text}…"
