"""Contract of cluster drivers, which create, change and delete Milvus clusters.

A driver takes and returns values. Drivers import no model, request or task, so that they can be
tested alone and used from a shell. `tests/contracts/test_cluster_driver.py` runs on all drivers.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from clusters.drivers.sandbox.process import Level


class Presence(enum.StrEnum):
    """Observed state of a cluster, independent of the desired state."""

    RUNNING = "RUNNING"
    """The cluster answered an authenticated health call."""
    STARTING = "STARTING"
    """The process exists and does not answer yet."""
    STOPPED = "STOPPED"
    """The cluster was stopped on request; its data exists."""
    CRASHED = "CRASHED"
    """The process ended without a request; its data exists."""
    MISSING = "MISSING"
    """Neither a process nor data exists."""
    SILENT = "SILENT"
    """A server that is operated elsewhere accepts connections and does not answer."""
    UNREACHABLE = "UNREACHABLE"
    """A server that is operated elsewhere cannot be used; the message states the reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """Desired state of a cluster. `token` is the tenant's credential; drivers store no copy."""

    cluster_id: str
    version: str
    compute_units: int
    replicas: int = 1
    token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Address for clients: a host without a scheme, and a TCP port."""

    host: str
    port: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Connection:
    """Address and credential of a server that is operated elsewhere, as the tenant gave them."""

    host: str
    port: int
    tls: bool = False
    ca_certificate: str = ""
    """PEM. Empty: the public authorities."""
    token: str = dataclasses.field(default="", repr=False)
    """`user:password` or an API key. Empty if the server requires none."""


class Attachments(Protocol):
    """Stored connections of attached clusters, and the rules for their addresses."""

    def connections(self, cluster_ids: Sequence[str]) -> Mapping[str, Connection | DriverError]:
        """Read the connections of clusters. An error is the reason why one cannot be read."""

    def resolver(self) -> Resolve:
        """Read the rules, and return a function for many look-ups."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tls:
    """Verification of a server: the name in its certificate, and the authority that signed it."""

    server_name: str
    ca_certificate: str = ""
    """PEM. Empty: the public authorities."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a change: percent (0 to 100), the phase in one word, and the current step."""

    percent: int
    phase: str
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    presence: Presence
    endpoint: Endpoint | None = None
    message: str = ""
    version: str = ""
    """Version that the server reports. Empty if the driver determines the version."""
    effective_cores: int | None = None
    confinement: Level | None = None
    """Level that the cluster's process reports. None if the driver does not confine."""
    started_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """CPU seconds since the start of the process, and the cores that the process may use now."""

    cpu_seconds: float
    cores: int
    measured_at: datetime.datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """Measurements of a running cluster. None: not measured."""

    measured_at: datetime.datetime
    cpu_seconds: float | None = None
    """Since the start of the process."""
    memory_bytes: int | None = None
    """Resident memory of the process."""
    rows: int | None = None
    disk_bytes: int | None = None
    requests: int | None = None
    """Calls of the tenant since the start of the process."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopySize:
    """Size of a cluster's data, and the free space that a copy of it needs.

    A copy shares files that the engine never changes.
    """

    total_bytes: int
    needed_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capabilities:
    """Features of a driver, so that callers need not check which driver they have."""

    name: str
    versions: Sequence[str]
    """Newest first; the first is the default."""
    max_replicas: int
    max_effective_cores: int | None
    """Further compute units are accepted without an effect. None: no limit is known."""
    supports_load: bool
    """True if `load` returns measurements, which autoscaling needs."""
    stores_rows: bool = True
    """False if clusters are simulated and have no server."""
    confinement: Level | None = None
    """Level of a process that is started now. None if the driver does not confine."""
    measures_usage: bool = True
    """True if `usage` returns measurements."""
    reported_prefix: str = "v"
    """Text before the version in the answer of a server, such as `milvus_lite-3.2.2`."""
    upgrades: Mapping[str, Sequence[str]] | None = None
    """Version → versions that its data can be upgraded to. None: every offered version."""
    effects: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """Version → changes that clients notice when they come from the version before it."""
    keeps_copies: bool = False
    """True if an upgrade keeps a copy of the data, which `go_back` puts back."""
    is_operated_elsewhere: bool = False
    """True if the driver only uses a server: it cannot be scaled, upgraded, restarted, stopped or
    started, its token is not the console's to rotate, and a deletion changes nothing on it.
    """


class Control(Protocol):
    """Client of a cluster's control service, used by backups."""

    def call(self, method: str, *, timeout_seconds: float = ..., **arguments: Any) -> Any: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleAccess:
    """Access of the console to all rows of a running cluster, including hidden collections."""

    endpoint: Endpoint
    """Checked address. A connection goes there without a look-up of a name."""
    credential: str = dataclasses.field(repr=False)
    control: Control | None
    """None if the server has no control service."""
    snapshots: Path | None = None
    """Directory of the console's snapshots. None if the control service creates none."""
    tls: Tls | None = None
    """None: the connection is not encrypted."""
    given_as: str = ""
    """Address in messages, as the tenant gave it. Empty: the endpoint."""


class DriverError(Exception):
    """An operation failed. The message states the problem and the remedy.

    `permanent` errors fail the task at once; other errors are retried with a backoff.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class SpecRefused(DriverError):
    """The driver does not support the spec. The message names the supported values."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


Resolve = Callable[[str, int], Sequence[str]]
"""Return the checked addresses of a host, for a port. Raises DriverError for a refused host."""

Guard = Callable[[], None]
"""Raises if the caller has lost its lease. Drivers call the guard right before every effect."""


class ClusterDriver(Protocol):
    """The contract of every driver.

    - Every changing method may be called again after a crash at any point, and then completes the
      missing steps. A method with no missing step changes nothing.
    - Changing methods are generators. Each step yields its progress, and percent never falls. The
      caller may stop between two steps (`GeneratorExit`); a further call completes the work.
    - `guard` is called right before every external effect. Its exceptions are not caught.
    - `create`, `start`, `restart`, `scale`, `upgrade` end only when a health call with the spec's
      token has succeeded and previously loaded collections answer searches again. They may take
      minutes and have a deadline. After it they raise a `DriverError` that quotes the end of the
      cluster's log.
    - `stop` ends when the process has ended and its data is on disk; `delete` when process, data
      and port are removed. Both succeed for a cluster that does not exist.
    - `validate` has no effect and raises `SpecRefused`, naming the supported values.
    - `observe` has no effect, never raises for a single cluster, and is one call for many clusters.
    - Arguments, environment, logs and files contain no credential.
    - A driver with `is_operated_elsewhere` only checks a server in `create` and forgets it in
      `delete`. Its other changing methods raise a permanent `DriverError`.
    - Drivers with `keeps_copies` also implement `hold`, `keep_copy`, `go_back`, `open` and
      `drop_copy`. From `hold` to `open` no row is acknowledged, also by a process that is started
      meanwhile, so that the copy contains every acknowledged row. Other drivers raise DriverError.
    """

    capabilities: Capabilities

    def validate(self, spec: ClusterSpec) -> None: ...

    def create(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def start(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def stop(self, cluster_id: str, guard: Guard) -> Iterator[Progress]: ...

    def restart(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def scale(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def upgrade(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def hold(self, cluster_id: str, guard: Guard) -> None:
        """Refuse the writes of tenants and flush, after the writes in progress. Reads are served.

        A stopped cluster is held from its next start.
        """

    def keep_copy(self, cluster_id: str, version: str, guard: Guard) -> Iterator[Progress]:
        """Stop the cluster and copy its data as the copy of `version`, unless there is one."""

    def go_back(self, spec: ClusterSpec, leaving: str, guard: Guard) -> Iterator[Progress]:
        """Stop the cluster, exchange its data with the copy of `spec.version`, and start it.

        The replaced data becomes the copy of `leaving`. Without a copy of `spec.version` the data
        stays as it is.
        """

    def open(self, cluster_id: str, guard: Guard) -> None:
        """End the hold."""

    def drop_copy(self, cluster_id: str, version: str, guard: Guard) -> None:
        """Remove the copy of `version`. A missing copy is not an error."""

    def has_copy(self, cluster_id: str, version: str) -> bool: ...

    def copy_size(self, cluster_id: str) -> CopySize | None:
        """Return None if the driver keeps no copies."""

    def delete(self, cluster_id: str, guard: Guard) -> Iterator[Progress]: ...

    def rotate(self, spec: ClusterSpec, guard: Guard) -> None:
        """Make `spec.token` the only valid token, at once and without a restart.

        A stopped cluster uses the token from its next start. Raises DriverError after two seconds
        without an answer, because the caller holds a lock meanwhile, on SQLite that of all writers.
        """

    def observe(self, cluster_ids: Sequence[str]) -> dict[str, Observation]:
        """Return an observation for every given id."""

    def console_access(self, cluster_id: str) -> ConsoleAccess | None:
        """Return None if no server can be called."""

    def load(self, cluster_id: str) -> Load | None:
        """Return None if the load cannot be measured."""

    def usage(self, cluster_ids: Sequence[str]) -> dict[str, Usage]:
        """Measure many clusters in one call, in bounded time. A cluster that cannot be measured is
        left out.
        """

    def free_bytes(self, cluster_id: str) -> int | None:
        """Return the free space of the cluster, or None if it is unknown."""

    def free_bytes_for_new(self) -> int | None:
        """Return the free space of the place where clusters are created, or None if it is unknown
        or not one place.
        """

    def log_end(self, cluster_id: str, lines: int) -> str:
        """Return the end of the cluster's log, at most `lines` lines and 64 KiB. A stopped cluster
        keeps its log. Raises DriverError with the reason if there is no log.
        """

    def cluster_ids(self) -> list[str]:
        """Return all clusters of the driver, including orphans that no row describes."""
