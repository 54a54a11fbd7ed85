"""Authentication of every call as the tenant or the console, before any other interceptor."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

import grpc

from clusters.drivers.embedded.server.wire import Details, Handler, Interceptor

CONTROL_SERVICE = "vbase.launcher.Control"

_REFUSAL = (
    "The credential is missing or wrong. Connect with the cluster's own token: "
    "MilvusClient(uri, token=...). The console shows the token on the cluster's access card."
)

Metadata = Iterable[tuple[str, str | bytes]]


class CallerRole(enum.Enum):
    """Owner of a credential. Only the console may also call the control service."""

    TENANT = "tenant"
    CONSOLE = "console"


def fingerprint(credential: str) -> str:
    """Return the SHA-256 of a credential, the only form in which a cluster's process stores it."""
    return hashlib.sha256(credential.encode()).hexdigest()


def control_credential(control_key: bytes, cluster_id: str) -> str:
    """Derive the console's credential for one cluster, so that no copy has to be stored."""
    message = f"vbase launcher control {cluster_id}".encode()
    return hmac.new(control_key, message, hashlib.sha256).hexdigest()


def authorization(credential: str) -> tuple[tuple[str, str], ...]:
    """Return the call metadata of a credential in the format of pymilvus."""
    return (("authorization", base64.b64encode(credential.encode()).decode()),)


class Credentials:
    """Fingerprints of the two valid credentials."""

    def __init__(self, *, token_sha256: str, control_sha256: str) -> None:
        self._token_sha256 = _checked(token_sha256, "token_sha256")
        self._control_sha256 = _checked(control_sha256, "control_sha256")

    def rotate(self, token_sha256: str) -> None:
        """Replace the tenant's token, effective from the next call."""
        self._token_sha256 = _checked(token_sha256, "token_sha256")

    def role_of(self, metadata: Metadata) -> CallerRole | None:
        """Run both comparisons in constant time, independent of the credential that was sent."""
        offered = fingerprint(_credential(metadata))
        is_tenant = hmac.compare_digest(offered, self._token_sha256)
        is_console = hmac.compare_digest(offered, self._control_sha256)
        return CallerRole.CONSOLE if is_console else CallerRole.TENANT if is_tenant else None


def _checked(sha256: str, name: str) -> str:
    valid = len(sha256) == hashlib.sha256().digest_size * 2 and sha256 != fingerprint("")
    if not valid or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"{name} must be the SHA-256 of a credential that is not empty, in hex.")
    return sha256


def _credential(metadata: Metadata) -> str:
    sent = [value for key, value in metadata if key == "authorization"]
    if len(sent) != 1:
        return ""
    try:
        return base64.b64decode(sent[0], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


class AuthenticationInterceptor(Interceptor):
    """Refuse calls without a valid credential, also calls of unknown and of streaming methods."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._refuse = answer_with(grpc.StatusCode.UNAUTHENTICATED, _REFUSAL)
        self._forbid = answer_with(
            grpc.StatusCode.PERMISSION_DENIED,
            "Only the console may call the control service. Use the Milvus API.",
        )

    def intercept_service(
        self, continuation: Callable[[Details], Handler | None], handler_call_details: Details
    ) -> Handler | None:
        role = self._credentials.role_of(handler_call_details.invocation_metadata)
        if role is None:
            return self._refuse
        is_control = handler_call_details.method.startswith(f"/{CONTROL_SERVICE}/")
        if is_control and role is not CallerRole.CONSOLE:
            return self._forbid
        return continuation(handler_call_details)


_refusals = futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="refuse")


def answer_with(code: grpc.StatusCode, message: str) -> Handler:
    """Return a handler that ends every call at once.

    The handler is a streaming one, because streaming handlers do not wait for a first message. Its
    threads are its own, so that calls without a credential take no thread from the tenant.
    """

    def refuse(_requests: Any, context: grpc.ServicerContext) -> Any:
        context.abort(code, message)

    refuse.experimental_thread_pool = _refusals  # type: ignore[attr-defined]
    return grpc.stream_stream_rpc_method_handler(refuse)
