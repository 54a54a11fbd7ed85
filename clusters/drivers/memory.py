"""Memory driver: complete and instant, for tests.

    driver = MemoryDriver()
    driver.crash("vc-1")                     # observed as CRASHED
    driver.fail_next("start", DriverError("no disk"))
    driver.set_load("vc-1", cpu_seconds=12)

With a `directory` the clusters are stored there, so that several processes see the same clusters
and one of them may be killed. Planned failures belong to the object.
"""

from __future__ import annotations

import dataclasses
import datetime
import fcntl
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusters.drivers.base import (
    Capabilities,
    ClusterSpec,
    CopySize,
    DriverError,
    Endpoint,
    Guard,
    Load,
    Observation,
    Presence,
    Progress,
    SpecRefused,
    Usage,
)

_FIRST_PORT = 40_000


@dataclasses.dataclass(kw_only=True)
class _Cluster:
    presence: Presence
    port: int
    version: str
    compute_units: int
    token_sha256: str
    started_at: str | None = None
    cpu_seconds: float = 0.0
    free_bytes: int | None = None
    usage: dict[str, int] = dataclasses.field(default_factory=dict)
    held: bool = False
    copies: list[str] = dataclasses.field(default_factory=list)
    """Versions that a copy of the data exists of."""


class MemoryDriver:
    """Implements `clusters.drivers.base.ClusterDriver`."""

    capabilities = Capabilities(
        name="memory",
        versions=("2.1.0", "2.0.0"),
        max_replicas=4,
        max_effective_cores=8,
        supports_load=True,
        keeps_copies=True,
        stores_rows=False,
    )

    def __init__(self, directory: Path | None = None, *, step_seconds: float = 0.0) -> None:
        self._store: _Store = _FileStore(directory) if directory is not None else _Store()
        self._step_seconds = step_seconds
        self._failures: dict[str, list[Exception]] = {}

    # Controls for tests

    def fail_next(self, operation: str, error: Exception | None = None) -> None:
        """Make the next call of this method raise, after its first step if it has several."""
        planned = error or DriverError(f"Planned failure of the memory driver at {operation}.")
        self._failures.setdefault(operation, []).append(planned)

    def crash(self, cluster_id: str) -> None:
        self._change(cluster_id, presence=Presence.CRASHED, started_at=None)

    def set_load(self, cluster_id: str, *, cpu_seconds: float) -> None:
        self._change(cluster_id, cpu_seconds=cpu_seconds)

    def set_usage(self, cluster_id: str, **measured: int) -> None:
        """Set rows, memory_bytes, disk_bytes or requests. The others are not measured."""
        self._change(cluster_id, usage=measured)

    def set_free_bytes(self, cluster_id: str, count: int) -> None:
        self._change(cluster_id, free_bytes=count)

    def accepts(self, cluster_id: str, token: str) -> bool:
        """Return True if the running cluster would accept this token."""
        with self._store.opened() as clusters:
            cluster = clusters.get(cluster_id)
        if cluster is None or cluster.presence is not Presence.RUNNING:
            return False
        return cluster.token_sha256 == _sha256(token)

    # The contract

    def validate(self, spec: ClusterSpec) -> None:
        if spec.version not in self.capabilities.versions:
            versions = ", ".join(self.capabilities.versions)
            raise SpecRefused(f"Unknown version {spec.version!r}. Use one of: {versions}.")
        if not 1 <= spec.replicas <= self.capabilities.max_replicas:
            most = self.capabilities.max_replicas
            raise SpecRefused(f"{spec.replicas} replicas are not possible. Use 1 to {most}.")
        if spec.compute_units < 1:
            raise SpecRefused("A cluster needs at least 1 compute unit.")
        if not spec.token:
            raise SpecRefused("A cluster needs a token that is not empty.")

    def create(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        yield self._step(20, "preparing")
        yield from self._run("create", spec, guard)

    def start(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        yield from self._run("start", spec, guard)

    def stop(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        yield self._step(50, "stopping")
        self._fail_if_planned("stop")
        guard()
        self._change(cluster_id, presence=Presence.STOPPED, started_at=None)
        yield self._step(100, "stopped")

    def restart(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        yield self._step(20, "stopping")
        guard()
        self._change(spec.cluster_id, presence=Presence.STOPPED, started_at=None)
        yield from self._run("restart", spec, guard)

    def scale(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        observation = self.observe([spec.cluster_id])[spec.cluster_id]
        if observation.presence is not Presence.STOPPED:
            yield from self._run("scale", spec, guard)
            return
        self._fail_if_planned("scale")
        guard()
        self._change(spec.cluster_id, compute_units=spec.compute_units)
        yield self._step(100, "scaling")

    def upgrade(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        yield from self._run("upgrade", spec, guard)

    def hold(self, cluster_id: str, guard: Guard) -> None:
        self._fail_if_planned("hold")
        guard()
        self._change(cluster_id, held=True)

    def keep_copy(self, cluster_id: str, version: str, guard: Guard) -> Iterator[Progress]:
        if self.has_copy(cluster_id, version):
            return
        yield self._step(50, "copying")
        self._fail_if_planned("keep_copy")
        guard()
        with self._store.opened() as clusters:
            cluster = clusters[cluster_id]
            clusters[cluster_id] = dataclasses.replace(
                cluster,
                presence=Presence.STOPPED,
                started_at=None,
                copies=[*cluster.copies, version],
            )
        yield self._step(100, "copying")

    def go_back(self, spec: ClusterSpec, leaving: str, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        if self.has_copy(spec.cluster_id, spec.version):
            yield self._step(20, "exchanging")
            guard()
            with self._store.opened() as clusters:
                cluster = clusters[spec.cluster_id]
                others = [name for name in cluster.copies if name not in (spec.version, leaving)]
                clusters[spec.cluster_id] = dataclasses.replace(
                    cluster,
                    presence=Presence.STOPPED,
                    started_at=None,
                    version=spec.version,
                    copies=[*others, leaving],
                )
        yield from self._run("go_back", spec, guard)

    def open(self, cluster_id: str, guard: Guard) -> None:
        self._fail_if_planned("open")
        guard()
        self._change(cluster_id, held=False)

    def drop_copy(self, cluster_id: str, version: str, guard: Guard) -> None:
        guard()
        with self._store.opened() as clusters:
            if cluster := clusters.get(cluster_id):
                kept = [name for name in cluster.copies if name != version]
                clusters[cluster_id] = dataclasses.replace(cluster, copies=kept)

    def has_copy(self, cluster_id: str, version: str) -> bool:
        with self._store.opened() as clusters:
            cluster = clusters.get(cluster_id)
        return cluster is not None and version in cluster.copies

    def copy_size(self, cluster_id: str) -> CopySize | None:
        return CopySize(total_bytes=0, needed_bytes=0)

    def delete(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        yield self._step(50, "deleting")
        self._fail_if_planned("delete")
        guard()
        with self._store.opened() as clusters:
            clusters.pop(cluster_id, None)
        yield self._step(100, "deleting")

    def rotate(self, spec: ClusterSpec, guard: Guard) -> None:
        self._fail_if_planned("rotate")
        guard()
        self._change(spec.cluster_id, token_sha256=_sha256(spec.token))

    def observe(self, cluster_ids: Sequence[str]) -> dict[str, Observation]:
        self._fail_if_planned("observe")
        with self._store.opened() as clusters:
            return {
                cluster_id: _observation(clusters.get(cluster_id)) for cluster_id in cluster_ids
            }

    def console_access(self, cluster_id: str) -> None:
        """Return None, because clusters of this driver store no rows."""

    def load(self, cluster_id: str) -> Load | None:
        with self._store.opened() as clusters:
            cluster = clusters.get(cluster_id)
        if cluster is None or cluster.presence is not Presence.RUNNING:
            return None
        cores = _effective_cores(cluster)
        return Load(cpu_seconds=cluster.cpu_seconds, cores=cores, measured_at=_now())

    def usage(self, cluster_ids: Sequence[str]) -> dict[str, Usage]:
        self._fail_if_planned("usage")
        with self._store.opened() as clusters:
            running = {
                cluster_id: cluster
                for cluster_id in cluster_ids
                if (cluster := clusters.get(cluster_id)) and cluster.presence is Presence.RUNNING
            }
        return {
            cluster_id: Usage(measured_at=_now(), cpu_seconds=state.cpu_seconds, **state.usage)
            for cluster_id, state in running.items()
        }

    def free_bytes(self, cluster_id: str) -> int | None:
        with self._store.opened() as clusters:
            cluster = clusters.get(cluster_id)
        return cluster.free_bytes if cluster is not None else None

    def free_bytes_for_new(self) -> int | None:
        return None

    def log_end(self, cluster_id: str, lines: int) -> str:
        with self._store.opened() as clusters:
            cluster = clusters.get(cluster_id)
        if cluster is None:
            raise DriverError(f"{cluster_id} has no log: it does not exist.", permanent=True)
        log = [
            f"In memory: Milvus {cluster.version}, {cluster.compute_units} compute units.",
            f"In memory: {cluster.presence}.",
        ]
        return "\n".join(log[-lines:])

    def cluster_ids(self) -> list[str]:
        with self._store.opened() as clusters:
            return sorted(clusters)

    # Internals

    def _run(self, operation: str, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        yield self._step(60, "starting")
        self._fail_if_planned(operation)
        guard()
        with self._store.opened() as clusters:
            clusters[spec.cluster_id] = _running(clusters, spec)
        yield self._step(100, "health")

    def _step(self, percent: int, phase: str) -> Progress:
        time.sleep(self._step_seconds)
        return Progress(percent=percent, phase=phase, message=f"In memory: {phase}.")

    def _fail_if_planned(self, operation: str) -> None:
        if planned := self._failures.get(operation):
            raise planned.pop(0)

    def _change(self, cluster_id: str, **changes: Any) -> None:
        with self._store.opened() as clusters:
            if cluster_id in clusters:
                clusters[cluster_id] = dataclasses.replace(clusters[cluster_id], **changes)


def _running(clusters: dict[str, _Cluster], spec: ClusterSpec) -> _Cluster:
    known = clusters.get(spec.cluster_id)
    taken = {cluster.port for cluster in clusters.values()}
    port = known.port if known else max(taken, default=_FIRST_PORT - 1) + 1
    return _Cluster(
        presence=Presence.RUNNING,
        port=port,
        version=spec.version,
        compute_units=spec.compute_units,
        token_sha256=_sha256(spec.token),
        started_at=(known.started_at if known else None) or _now().isoformat(),
        cpu_seconds=known.cpu_seconds if known else 0.0,
        free_bytes=known.free_bytes if known else None,
        usage=known.usage if known else {},
        held=known.held if known else False,
        copies=known.copies if known else [],
    )


def _observation(cluster: _Cluster | None) -> Observation:
    if cluster is None:
        return Observation(presence=Presence.MISSING)
    running = cluster.presence is Presence.RUNNING
    started = datetime.datetime.fromisoformat(cluster.started_at) if cluster.started_at else None
    return Observation(
        presence=cluster.presence,
        endpoint=Endpoint(host="memory.invalid", port=cluster.port),
        effective_cores=_effective_cores(cluster) if running else None,
        started_at=started,
    )


def _effective_cores(cluster: _Cluster) -> int:
    return min(cluster.compute_units, MemoryDriver.capabilities.max_effective_cores or 1)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class _Store:
    def __init__(self) -> None:
        self._clusters: dict[str, _Cluster] = {}

    @contextmanager
    def opened(self) -> Iterator[dict[str, _Cluster]]:
        yield self._clusters


class _FileStore(_Store):
    """Clusters by id, in one JSON file for several processes, replaced atomically."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = directory / "clusters.json"
        self._lock = directory / "clusters.lock"

    @contextmanager
    def opened(self) -> Iterator[dict[str, _Cluster]]:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            clusters = self._read()
            before = dict(clusters)
            yield clusters
            if clusters != before:
                self._write(clusters)

    def _write(self, clusters: dict[str, _Cluster]) -> None:
        stored = {key: dataclasses.asdict(cluster) for key, cluster in clusters.items()}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(stored))
        new.replace(self._file)

    def _read(self) -> dict[str, _Cluster]:
        try:
            stored = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        return {
            key: _Cluster(**{**fields, "presence": Presence(fields["presence"])})
            for key, fields in stored.items()
        }
