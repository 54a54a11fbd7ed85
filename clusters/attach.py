"""Attach a Milvus that is operated elsewhere, and change the connection to it.

Names are resolved and servers are called outside of transactions: call the `plan_…` function first,
then the service with its result.
"""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from clusters.drivers.server_check import CHECK_SECONDS, ServerUnreachable, version_of
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
    Unavailable,
)
from vbase_console.organizations.differences import note_connection_change
from vbase_console.organizations.tenancy import Principal
from vbase_console.tasks.models import Task

DEFAULT_PORT = 19530
MAX_TOKEN_LENGTH = 4096
MAX_CERTIFICATE_LENGTH = 64 * 1024
MAX_CHECKS = 2
"""Checks of new connections at the same time in one process, because each occupies a thread of the
web. An organization has one of them at most.
"""
CONNECTION_FIELDS = ("endpoint", "port", "tls", "ca_certificate", "token")

_checking: set[uuid.UUID] = set()
_checking_lock = threading.Lock()


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
    """Attach a server. The returned DEPLOYMENT task checks the connection and reports its steps.

    Raises AlreadyExists if the organization has attached the server with this token already.
    """
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

    @property
    def changes_address(self) -> bool:
        """True if the token is sent to another server, or in another way."""
        return dataclasses.replace(self.old, token="") != dataclasses.replace(self.new, token="")

    @property
    def keeps_server(self) -> bool:
        """True if address and token stay, so that the connection is attached as before."""
        old, new = self.old, self.new
        return (old.host, old.port, old.token) == (new.host, new.port, new.token)


def require_attached(cluster: Cluster) -> None:
    """Raise FailedPrecondition unless the cluster has a connection that users give."""
    refuse_deleted(cluster)
    if not cluster.is_attached:
        raise FailedPrecondition(
            f"{cluster.cluster_id} is not attached: the console chooses its endpoint and token."
        )


def changes_address(cluster: Cluster, given: Mapping[str, Any]) -> bool:
    """True if the request names another server or another way to it, so that it requires a token
    and the scope CreateCluster: a stored token is never sent to a new address.
    """
    old = address_fields_of(cluster)
    new = {name: given.get(name, value) for name, value in old.items()}
    new["endpoint"] = new["endpoint"].strip()
    new["ca_certificate"] = _normal_pem(new["ca_certificate"])
    return new != old


def plan_connection_change(cluster: Cluster, given: Mapping[str, Any]) -> ConnectionChange:
    """Check the new connection of an attached cluster. `given` are the fields of the request.

    Raises FailedPrecondition if the server refuses the check, and Unavailable if it cannot be
    reached, which a later request may. The present connection is kept then.
    """
    require_attached(cluster)
    if changes_address(cluster, given) and "token" not in given:
        text = "Give the token, because a stored token is not sent to a new address."
        raise InvalidArgument(field_errors={"token": [text]})
    old = cluster.connection
    new = plan_connection(**{**_fields_of(old), **given})
    with _one_of_few_checks(cluster.organization_id):
        try:
            version = version_of(new, StoredAttachments().resolver(), seconds=CHECK_SECONDS)
        except ServerUnreachable as error:
            raise Unavailable(f"The connection was not changed: {error}") from error
        except DriverError as error:
            raise FailedPrecondition(f"The connection was not changed: {error}") from error
    return ConnectionChange(old=old, new=new, version=version)


@contextmanager
def _one_of_few_checks(organization_id: uuid.UUID) -> Iterator[None]:
    with _checking_lock:
        if organization_id in _checking or len(_checking) >= MAX_CHECKS:
            raise ResourceExhausted("Another connection is being checked. Try again in a moment.")
        _checking.add(organization_id)
    try:
        yield
    finally:
        with _checking_lock:
            _checking.discard(organization_id)


@transaction.atomic
def change_connection(cluster: Cluster, change: ConnectionChange) -> Cluster:
    """Store a checked connection. Raises Aborted while a job that has begun uses the address, so
    that no backup reads from two servers, and AlreadyExists if another cluster has the connection.
    """
    cluster = Cluster.objects.locked(cluster.pk)
    waiting = unfinished(cluster)
    admit(cluster, TaskKind.SCALING, waiting)
    in_the_way = [*waiting]
    if change.changes_address:
        in_the_way += [task for task in unfinished_of_other_apps(cluster) if task.epoch > 0]
    if in_the_way:
        names = ", ".join(task.task_id for task in in_the_way[:3])
        raise Aborted(
            f"The connection was not changed, because {names} uses it. Cancel it, or try again "
            "after it has ended.",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if cluster.connection != change.old:
        raise Aborted("Another request has changed the connection. Read it and try again.")
    if change.new != change.old:
        note_connection_change()
    mark = cluster.server_mark
    cluster.connection = change.new
    if change.keeps_server:  # entries of one server from before the rule: the first has the mark
        cluster.server_mark = mark
    cluster.version = change.version
    cluster.condition, cluster.change_failed = Condition.RUNNING, False
    cluster.seen_at, cluster.observe_after = timezone.now(), None
    save_named(cluster)
    refresh_status(cluster, "")
    return cluster


def address_fields_of(cluster: Cluster) -> dict[str, Any]:
    """Return the fields of a connection that a form may show."""
    return {
        "endpoint": cluster.host,
        "port": cluster.port,
        "tls": cluster.tls,
        "ca_certificate": cluster.ca_certificate,
    }


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


def _normal_pem(pem: str) -> str:
    """Return a text that does not depend on the line ends of a form."""
    lines = pem.strip().splitlines()
    return "\n".join([*lines, ""]) if lines else ""


def _checked_certificate(given: str, *, tls: bool) -> str:
    pem = _normal_pem(given)
    if not pem:
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
