"""What a cluster driver is: the hands that make, move and remove a Milvus cluster.

A driver takes values and gives values. It knows no row, no request and no task, so it can be tried
alone (`tests/contracts/test_cluster_driver.py` runs against every one of them) and used from a
shell.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from clusters.drivers.sandbox.process import Level


class Presence(enum.StrEnum):
    """What a driver sees of a cluster; observation, never intent."""

    RUNNING = "RUNNING"
    """It answered a health call over the wire with the right credentials."""
    STARTING = "STARTING"
    """Its process is there and does not answer yet."""
    STOPPED = "STOPPED"
    """It was stopped on purpose; its data is there."""
    CRASHED = "CRASHED"
    """It ended without being asked to; its data is there."""
    MISSING = "MISSING"
    """There is neither a process nor data."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """What a cluster should be. `token` is the tenant's credential: drivers keep no copy of it."""

    cluster_id: str
    version: str
    compute_units: int
    replicas: int = 1
    token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a client connects: a bare host and a TCP port."""

    host: str
    port: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Work done over work to do, in percent (0 to 100), the phase in one word, and what it does."""

    percent: int
    phase: str
    message: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Observation:
    """One look at one cluster."""

    presence: Presence
    endpoint: Endpoint | None = None
    message: str = ""
    effective_cores: int | None = None
    confinement: Level | None = None
    """The level that the cluster's process reports; None where the driver confines nothing."""
    started_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """CPU seconds used since the process started, and the cores it may use now."""

    cpu_seconds: float
    cores: int
    measured_at: datetime.datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a driver offers, so that nobody has to ask which driver it is."""

    name: str
    versions: Sequence[str]
    """Newest first; the first is the default."""
    max_replicas: int
    max_effective_cores: int | None
    """Compute units above this are accepted and change nothing more; None: no limit is known."""
    supports_load: bool
    """Whether `load` measures anything; without it there is no autoscaling."""
    confinement: Level | None = None
    """The level that a process started now would have; None where the driver confines nothing."""


class Control(Protocol):
    """A cluster's own control service, for those who look after its data."""

    def call(self, method: str, *, timeout_seconds: float = ..., **arguments: Any) -> Any: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConsoleAccess:
    """How the console itself gets at all rows of a running cluster, hidden collections too."""

    endpoint: Endpoint
    credential: str = dataclasses.field(repr=False)
    control: Control | None
    """None where the server has no control service of ours."""
    snapshots: Path | None = None
    """Directory of the console's snapshots; None where the control service makes none."""


class DriverError(Exception):
    """What was asked could not be done; the message says what was being done and what to do now.

    `permanent` errors fail the task now, others are tried again with a backoff.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class SpecRefused(DriverError):
    """The driver cannot make what the spec describes; the message says what there is instead."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


Guard = Callable[[], None]
"""Raises when the caller has lost its right to act; a driver calls it right before every effect."""


class ClusterDriver(Protocol):
    """The contract of every driver.

    - Every changing method may be called again after a crash at any point, and then finishes what
      is missing;
      called when nothing is missing it changes nothing.
    - Changing methods are generators: each step yields what was done, percent never falls, and the
      caller may stop
      between two steps (`GeneratorExit`), after which calling again finishes the work.
    - `guard` is called right before every effect on the world; what it raises passes through
      untouched.
    - `create`, `start`, `restart`, `scale`, `upgrade` end only when a health call over the wire
      with the spec's token
      succeeded and what was loaded before answers searches again; they may take minutes and have a
      deadline of their own, after which they raise a `DriverError` that quotes the end of the
      cluster's log.
    - `stop` ends when the process is gone and its data is safe on disk; `delete` when process, data
      and port are gone.
      Both succeed on what is not there.
    - `validate` has no effect and raises `SpecRefused`, naming what there is.
    - `observe` has no effect, never raises for a single cluster, and costs one call for many
      clusters.
    - No credential appears in an argument list, an environment, a log or a file.
    """

    capabilities: Capabilities

    def validate(self, spec: ClusterSpec) -> None: ...

    def create(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def start(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def stop(self, cluster_id: str, guard: Guard) -> Iterator[Progress]: ...

    def restart(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def scale(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def upgrade(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]: ...

    def delete(self, cluster_id: str, guard: Guard) -> Iterator[Progress]: ...

    def rotate(self, spec: ClusterSpec, guard: Guard) -> None:
        """Make `spec.token` the only valid token, at once and without a restart.

        A stopped cluster takes it at its next start. It raises after two seconds without an answer:
        the caller holds a lock meanwhile, on SQLite that of all writers.
        """

    def observe(self, cluster_ids: Sequence[str]) -> dict[str, Observation]:
        """Every asked id is in the answer."""

    def console_access(self, cluster_id: str) -> ConsoleAccess | None:
        """None where there is no server to call, now or at all."""

    def load(self, cluster_id: str) -> Load | None:
        """None where there is nothing to measure."""

    def free_bytes(self, cluster_id: str) -> int | None:
        """How much more the cluster can store now; None where the driver cannot tell."""

    def cluster_ids(self) -> list[str]:
        """Every cluster in the driver's world, whoever asked for it: this is how orphans show."""
