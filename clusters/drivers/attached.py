"""Attached driver: use a Milvus that is operated elsewhere. No method changes how it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent import futures

from clusters.drivers.base import (
    Attachments,
    Capabilities,
    ClusterSpec,
    Connection,
    ConsoleAccess,
    DriverError,
    Guard,
    Load,
    Observation,
    Presence,
    Progress,
    Resolve,
    SpecRefused,
    Usage,
)
from clusters.drivers.server_check import (
    CHECK_SECONDS,
    OBSERVE_SECONDS,
    Deadline,
    ServerSilent,
    check,
    named,
    reach,
    tls_of,
    version_of,
)

PARALLEL_CHECKS = 32


class AttachedDriver:
    """Implements `clusters.drivers.base.ClusterDriver`."""

    capabilities = Capabilities(
        name="attached",
        versions=(),
        max_replicas=1,
        max_effective_cores=None,
        supports_load=False,
        measures_usage=False,
        is_operated_elsewhere=True,
    )

    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments

    def validate(self, spec: ClusterSpec) -> None:
        self._connection(spec.cluster_id)

    def create(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        """Check the connection. A failure is permanent, because the user waits for its reason."""
        connection = self._connection(spec.cluster_id)
        try:
            yield from check(connection, self._attachments.resolver())
        except DriverError as error:
            raise DriverError(str(error), permanent=True) from error

    def delete(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        """Forget the cluster. The server is neither called nor changed."""
        guard()
        yield Progress(percent=100, phase="detaching", message="The server is unchanged.")

    def start(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        raise _refused(spec.cluster_id)

    def stop(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        raise _refused(cluster_id)

    def restart(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        raise _refused(spec.cluster_id)

    def scale(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        raise _refused(spec.cluster_id)

    def upgrade(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        raise _refused(spec.cluster_id)

    def hold(self, cluster_id: str, guard: Guard) -> None:
        raise _refused(cluster_id)

    def keep_copy(self, cluster_id: str, version: str, guard: Guard) -> Iterator[Progress]:
        raise _refused(cluster_id)

    def go_back(self, spec: ClusterSpec, leaving: str, guard: Guard) -> Iterator[Progress]:
        raise _refused(spec.cluster_id)

    def open(self, cluster_id: str, guard: Guard) -> None:
        raise _refused(cluster_id)

    def drop_copy(self, cluster_id: str, version: str, guard: Guard) -> None:
        """Do nothing, because the driver keeps no copies."""

    def has_copy(self, cluster_id: str, version: str) -> bool:
        return False

    def copy_size(self, cluster_id: str) -> None:
        return None

    def rotate(self, spec: ClusterSpec, guard: Guard) -> None:
        raise _refused(spec.cluster_id)

    def observe(self, cluster_ids: Sequence[str]) -> dict[str, Observation]:
        if not cluster_ids:
            return {}
        # Rows and rules are read here, because the threads have no database connection.
        connections, resolve = (
            self._attachments.connections(cluster_ids),
            self._attachments.resolver(),
        )
        with futures.ThreadPoolExecutor(min(PARALLEL_CHECKS, len(cluster_ids))) as pool:
            observed = pool.map(
                lambda cluster_id: _observe(connections.get(cluster_id), resolve), cluster_ids
            )
            return dict(zip(cluster_ids, observed, strict=True))

    def console_access(self, cluster_id: str) -> ConsoleAccess | None:
        connection = self._attachments.connections([cluster_id]).get(cluster_id)
        if connection is None:
            return None
        if isinstance(connection, DriverError):
            raise connection
        addresses = self._attachments.resolver()(connection.host, connection.port)
        return ConsoleAccess(
            endpoint=reach(connection, addresses, Deadline(CHECK_SECONDS)),
            credential=connection.token,
            control=None,
            tls=tls_of(connection),
            given_as=named(connection),
        )

    def load(self, cluster_id: str) -> Load | None:
        return None

    def usage(self, cluster_ids: Sequence[str]) -> dict[str, Usage]:
        return {}

    def free_bytes(self, cluster_id: str) -> int | None:
        return None

    def free_bytes_for_new(self) -> int | None:
        return None

    def log_end(self, cluster_id: str, lines: int) -> str:
        raise DriverError(
            "The log of an attached cluster is kept where its server runs. Read it there.",
            permanent=True,
        )

    def cluster_ids(self) -> list[str]:
        """Return nothing: a server without a row is none of the console's."""
        return []

    def _connection(self, cluster_id: str) -> Connection:
        connection = self._attachments.connections([cluster_id]).get(cluster_id)
        if connection is None:
            raise SpecRefused(f"{cluster_id} has no connection. Attach the server again.")
        if isinstance(connection, DriverError):
            raise connection
        return connection


def _observe(connection: Connection | DriverError | None, resolve: Resolve) -> Observation:
    if connection is None:
        return Observation(presence=Presence.MISSING)
    if isinstance(connection, DriverError):
        return Observation(presence=Presence.UNREACHABLE, message=str(connection))
    try:
        version = version_of(connection, resolve, seconds=OBSERVE_SECONDS)
    except ServerSilent as error:
        return Observation(presence=Presence.SILENT, message=str(error))
    except DriverError as error:
        return Observation(presence=Presence.UNREACHABLE, message=str(error))
    return Observation(presence=Presence.RUNNING, version=version)


def _refused(cluster_id: str) -> DriverError:
    return DriverError(f"{cluster_id} is attached: it is operated elsewhere.", permanent=True)
