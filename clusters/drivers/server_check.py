"""Check of a Milvus that is operated elsewhere: resolve, connect, call GetVersion with the token.

The server is not trusted. Its texts reach no message, because it could repeat the token in them.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from clusters.drivers.base import Connection, DriverError, Endpoint, Progress, Resolve, Tls
from clusters.drivers.channel import open_channel

CHECK_SECONDS = 12.0
"""Limit of a whole check. Users are told of every failure within 15 s."""
OBSERVE_SECONDS = 4.0
_CONNECT_SECONDS = 4.0
_GET_VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_ADDRESSES = 8
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")


class ServerUnreachable(DriverError):
    """No connection was possible, or none was answered. A later check may succeed."""


class ServerSilent(ServerUnreachable):
    """The server did not answer in time."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, most: float) -> float:
        """Return the seconds that a step may take, at most `most`."""
        return max(0.05, min(most, self._at - time.monotonic()))


def check(
    connection: Connection, resolve: Resolve, *, seconds: float = CHECK_SECONDS
) -> Iterator[Progress]:
    """Yield each step before it is done. Raises DriverError with the reason of a failure."""
    deadline, host, port = Deadline(seconds), connection.host, connection.port
    yield Progress(percent=10, phase="resolving", message=f"Resolving {host}.")
    addresses = resolve(host, port)
    yield Progress(percent=40, phase="connecting", message=f"Connecting to {named(connection)}.")
    endpoint = reach(connection, addresses, deadline)
    yield Progress(percent=70, phase="checking", message="Calling the server with the token.")
    version = ask_version(connection, endpoint, deadline)
    yield Progress(percent=100, phase="checking", message=f"The server answers: Milvus {version}.")


def version_of(connection: Connection, resolve: Resolve, *, seconds: float) -> str:
    """Return the version of a server. Raises DriverError with the reason of a failure."""
    deadline = Deadline(seconds)
    endpoint = reach(connection, resolve(connection.host, connection.port), deadline)
    return ask_version(connection, endpoint, deadline)


def named(connection: Connection) -> str:
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    return f"{host}:{connection.port}"


def tls_of(connection: Connection) -> Tls | None:
    if not connection.tls:
        return None
    name = connection.host.removesuffix(".")
    return Tls(server_name=name, ca_certificate=connection.ca_certificate)


def reach(connection: Connection, addresses: Sequence[str], deadline: Deadline) -> Endpoint:
    """Return the first address that accepts a connection: a name may have one that is not used."""
    failure: OSError | None = None
    for address in addresses[:_MAX_ADDRESSES]:
        try:
            seconds = deadline.left(_CONNECT_SECONDS)
            socket.create_connection((address, connection.port), timeout=seconds).close()
        except OSError as error:
            failure = error
        else:
            return Endpoint(host=address, port=connection.port)
    if isinstance(failure, TimeoutError):
        raise ServerSilent(
            f"{named(connection)} did not accept a connection in time. Check host, port and "
            "firewall."
        )
    if isinstance(failure, ConnectionRefusedError):
        raise ServerUnreachable(
            f"{named(connection)} refused the connection. Check the port, and that Milvus runs."
        )
    reason = failure.strerror if failure is not None else "it has no address"
    raise ServerUnreachable(f"{named(connection)} cannot be reached: {reason}.")


def ask_version(connection: Connection, endpoint: Endpoint, deadline: Deadline) -> str:
    """Call GetVersion with the token, which every server that checks tokens refuses without one."""
    metadata: tuple[tuple[str, str], ...] = ()
    if connection.token:
        encoded = base64.b64encode(connection.token.encode()).decode()
        metadata = (("authorization", encoded),)
    tls = tls_of(connection)
    authority = named(connection)
    with open_channel(
        endpoint, tls, authority=authority, max_answer_bytes=_MAX_ANSWER_BYTES
    ) as channel:
        try:
            answer = channel.unary_unary(_GET_VERSION, None, None)(
                b"", timeout=deadline.left(CHECK_SECONDS), metadata=metadata
            )
        except grpc.RpcError as error:
            raise _failure_of_call(connection, endpoint, error.code(), deadline) from None
    return _read_version(connection, bytes(answer))


def _failure_of_call(
    connection: Connection, endpoint: Endpoint, code: grpc.StatusCode, deadline: Deadline
) -> DriverError:
    where = named(connection)
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return DriverError(f"{where} refused the token. Give the token of a user of this server.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerSilent(
            f"{where} accepts connections but did not answer in time. Check that Milvus is healthy."
        )
    problem = _tls_problem(connection, endpoint, deadline) if connection.tls else ""
    if problem:
        return DriverError(f"{where}: {problem}")
    if code in _NOT_MILVUS:
        hint = "" if connection.tls else " If the server requires TLS, switch TLS on."
        return DriverError(f"{where} answered, but not as a Milvus. Check host and port.{hint}")
    return DriverError(f"{where} failed to answer ({code.name}). Check that Milvus is healthy.")


_NOT_MILVUS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
"""Statuses of other servers: gRPC derives them from answers that are no gRPC."""


def _tls_problem(connection: Connection, endpoint: Endpoint, deadline: Deadline) -> str:
    """Repeat the handshake with a library that tells its reason. Sends no token."""
    name = connection.host.removesuffix(".")
    try:
        context = ssl.create_default_context(cadata=connection.ca_certificate or None)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(
                (endpoint.host, endpoint.port), timeout=deadline.left(_CONNECT_SECONDS)
            ) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return f"the certificate was not accepted: {error.verify_message}."
    except ssl.SSLError:
        return "the server does not speak TLS on this port, or no version that is safe."
    except OSError:
        return "the server ended the TLS handshake."


def _read_version(connection: Connection, answer: bytes) -> str:
    message = _VERSION_ANSWER()
    try:
        message.ParseFromString(answer)
    except DecodeError:
        raise _no_milvus(connection) from None
    if message.status.code or message.status.error_code:
        raise DriverError(
            f"{named(connection)} refused the call. Check that the token's user may use the server."
        )
    version = str(message.version)
    if not VERSION.fullmatch(version) or version == connection.token:
        raise _no_milvus(connection)
    return version


def _no_milvus(connection: Connection) -> DriverError:
    return DriverError(f"{named(connection)} answered, but not as a Milvus. Check host and port.")


def _version_answer() -> Any:
    """Build the message class of GetVersionResponse, because pymilvus' one imports the whole SDK
    into every process that observes clusters (ADR 0014).
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="vbase/get_version.proto", package="vbase", syntax="proto3"
    )
    _add_message(file, "Status", error_code=(1, "INT32"), code=(3, "INT32"))
    _add_message(file, "Answer", status=(1, ".vbase.Status"), version=(2, "STRING"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("vbase.Answer"))


def _add_message(file: Any, name: str, **fields: tuple[int, str]) -> None:
    kinds = descriptor_pb2.FieldDescriptorProto
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        added = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
        if kind.startswith("."):
            added.type, added.type_name = kinds.TYPE_MESSAGE, kind
        else:
            added.type = kinds.Type.Value(f"TYPE_{kind}")


_VERSION_ANSWER = _version_answer()
