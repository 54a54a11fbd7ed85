"""Attach a Milvus that is operated elsewhere, and change the connection to it.

Names are resolved and servers are called outside of transactions: call the `plan_…` function first,
then the service with its result.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from django.db import transaction
from django.utils import timezone

from clusters.admission import (
    RETRY_AFTER_SECONDS,
    admit,
    enqueue_task,
    refresh_status,
    refuse_deleted,
    unfinished,
    unfinished_of_other_apps,
)
from clusters.attachments import StoredAttachments, attach_rules
from clusters.drivers import ATTACHED
from clusters.drivers.base import Connection, DriverError
from clusters.drivers.server_check import CHECK_SECONDS, version_of
from clusters.models import Cluster
from clusters.services import save_named
from clusters.states import Condition, ServiceStatus, TaskKind
from clusters.validation import check_labels, check_name
from vbase_console.core.addresses import (
    AddressRefused,
    HostInvalid,
    NameNotResolved,
    NetworkNotAllowed,
    PortRefused,
    check_host,
)
from vbase_console.core.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
)
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

DEFAULT_PORT = 19530
MAX_TOKEN_LENGTH = 4096
MAX_CERTIFICATE_LENGTH = 64 * 1024
MAX_CHECKS = 4
"""Checks of new connections at the same time, in one process. Each occupies a thread of the web."""
ADDRESS_FIELDS = ("endpoint", "port", "tls", "ca_certificate")
"""Fields that decide to which server a token is sent. Their change requires a token."""
CONNECTION_FIELDS = (*ADDRESS_FIELDS, "token")

_checks = threading.BoundedSemaphore(MAX_CHECKS)


def plan_connection(
    *,
    endpoint: str,
    port: int | None = None,
    tls: bool = False,
    ca_certificate: str = "",
    token: str = "",
) -> Connection:
    """Check the form of a connection, and its addresses if they can be resolved now.

    A name that does not resolve is left to the task, whose message names it.
    """
    connection = Connection(
        host=_checked_host(endpoint),
        port=DEFAULT_PORT if port is None else port,
        tls=tls,
        ca_certificate=_checked_certificate(ca_certificate, tls=tls),
        token=_checked_token(token),
    )
    if not 1 <= connection.port <= 65535:
        raise InvalidArgument(field_errors={"port": ["Give a port from 1 to 65535."]})
    _check_address(connection)
    return connection


@transaction.atomic
def attach_cluster(
    principal: Principal,
    *,
    name: str,
    connection: Connection,
    labels: Mapping[str, object] | None = None,
    deletion_protection: bool = False,
) -> tuple[Cluster, Task]:
    """Attach a server. The returned DEPLOYMENT task checks the connection and reports its steps."""
    cluster = Cluster(
        organization_id=principal.organization_id,
        name=check_name(name),
        labels=check_labels(labels or {}),
        deletion_protection=deletion_protection,
        driver=ATTACHED,
        status=ServiceStatus.CREATING,
    )
    cluster.connection = connection
    save_named(cluster)
    return cluster, enqueue_task(cluster, TaskKind.DEPLOYMENT, by=principal.label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConnectionChange:
    """A connection whose server has answered, and the connection that it replaces."""

    old: Connection
    new: Connection
    version: str


def require_attached(cluster: Cluster) -> None:
    """Raise FailedPrecondition unless the cluster has a connection that users give."""
    refuse_deleted(cluster)
    if not cluster.is_attached:
        raise FailedPrecondition(
            f"{cluster.cluster_id} is not attached: the console chooses its endpoint and token."
        )


def changes_address(cluster: Cluster, given: Mapping[str, Any]) -> bool:
    """True if the request names another server, so that it needs a token and CreateCluster."""
    old = _fields_of(cluster.connection)
    return any(given.get(name, old[name]) != old[name] for name in ADDRESS_FIELDS)


def plan_connection_change(cluster: Cluster, given: Mapping[str, Any]) -> ConnectionChange:
    """Check the new connection of an attached cluster. `given` are the fields of the request.

    Raises FailedPrecondition if the server does not answer. The present connection is kept then.
    """
    require_attached(cluster)
    if changes_address(cluster, given) and "token" not in given:
        text = "Give the token, because a stored token is not sent to a new address."
        raise InvalidArgument(field_errors={"token": [text]})
    old = cluster.connection
    new = plan_connection(**{**_fields_of(old), **given})
    if not _checks.acquire(blocking=False):
        raise ResourceExhausted("Other connections are being checked. Try again in a moment.")
    try:
        version = version_of(new, StoredAttachments().resolver(), seconds=CHECK_SECONDS)
    except DriverError as error:
        raise FailedPrecondition(f"The connection was not changed: {error}") from error
    finally:
        _checks.release()
    return ConnectionChange(old=old, new=new, version=version)


@transaction.atomic
def change_connection(cluster: Cluster, change: ConnectionChange) -> Cluster:
    """Store a checked connection. Raises Aborted while a job uses the present one."""
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.SCALING, waiting)
    in_the_way = [*waiting, *unfinished_of_other_apps(cluster)]
    if cluster.connection != change.old or in_the_way:
        names = ", ".join(task.task_id for task in in_the_way[:3]) or "another request"
        raise Aborted(
            f"The connection was not changed: {names} uses or has changed it. Try again after it "
            "has ended.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    cluster.connection = change.new
    cluster.version = change.version
    cluster.condition, cluster.change_failed = Condition.RUNNING, False
    cluster.seen_at, cluster.observe_after = timezone.now(), None
    refresh_status(cluster, "")
    return cluster


def _fields_of(connection: Connection) -> dict[str, Any]:
    values = dataclasses.asdict(connection)
    return {"endpoint": values.pop("host"), **values}


def _checked_host(endpoint: str) -> str:
    try:
        return check_host(endpoint.strip())
    except HostInvalid as error:
        raise InvalidArgument(field_errors={"endpoint": [str(error)]}) from error


def _checked_token(token: str) -> str:
    try:
        is_text = len(token.encode()) <= MAX_TOKEN_LENGTH and token.isprintable()
    except UnicodeEncodeError:
        is_text = False
    if not is_text:
        text = f"Give at most {MAX_TOKEN_LENGTH} bytes without line breaks."
        raise InvalidArgument(field_errors={"token": [text]})
    return token


def _checked_certificate(pem: str, *, tls: bool) -> str:
    if not pem.strip():
        return ""
    problem = ""
    if not tls:
        problem = "A certificate requires TLS. Switch TLS on or leave the certificate out."
    elif "PRIVATE KEY" in pem:
        problem = "Give the certificate of the authority only, without a private key."
    elif len(pem) > MAX_CERTIFICATE_LENGTH or not _is_certificate(pem):
        problem = "Give one or more certificates in PEM form, at most 64 KiB."
    if problem:
        raise InvalidArgument(field_errors={"ca_certificate": [problem]})
    return pem


def _is_certificate(pem: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return False


def _check_address(connection: Connection) -> None:
    try:
        attach_rules().check(connection.host, connection.port)
    except NameNotResolved:
        return
    except NetworkNotAllowed as error:
        raise FailedPrecondition(str(error)) from error
    except PortRefused as error:
        raise InvalidArgument(field_errors={"port": [str(error)]}) from error
    except AddressRefused as error:
        raise InvalidArgument(field_errors={"endpoint": [str(error)]}) from error
