"""Embedded driver: one milvus-lite server process per cluster, on this machine."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path

from clusters.drivers.base import (
    Capabilities,
    ClusterSpec,
    ConsoleAccess,
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
from clusters.drivers.embedded import copies, engines, observe
from clusters.drivers.embedded.layout import HOST, LOG_END_BYTES, ClusterDirectory, cluster_ids
from clusters.drivers.embedded.lifecycle import HEALTH_SECONDS, Lifecycle, between
from clusters.drivers.embedded.server.authentication import fingerprint
from clusters.drivers.sandbox.process import offered

_WATCHERS = 16
_MIN_KEY_BYTES = 16
_HOLD_SECONDS = 120.0
"""A hold waits for the writes in progress and for the flush of all collections."""


class EmbeddedDriver:
    """Implements `clusters.drivers.base.ClusterDriver`."""

    def __init__(
        self,
        data_dir: Path,
        control_key: bytes,
        start_timeout_seconds: float = 60,
        memory_bytes: int | None = None,
    ) -> None:
        if len(control_key) < _MIN_KEY_BYTES:
            raise ValueError(f"control_key needs at least {_MIN_KEY_BYTES} random bytes.")
        self._data_dir = data_dir.absolute()
        self._lifecycle = Lifecycle(
            self._data_dir, control_key, start_timeout_seconds, memory_bytes
        )
        self.capabilities = Capabilities(
            name="embedded",
            versions=engines.offered(),
            reported_prefix="milvus_lite-",
            upgrades=engines.UPGRADES,
            effects=engines.EFFECTS,
            keeps_copies=True,
            max_replicas=1,
            max_effective_cores=len(os.sched_getaffinity(0)),
            supports_load=True,
            confinement=offered(),
        )

    def validate(self, spec: ClusterSpec) -> None:
        self._directory(spec.cluster_id)
        engines.require_installed(spec.version)
        if spec.replicas != 1:
            raise SpecRefused(f"{spec.replicas} replicas are not possible. Use 1 replica.")
        if spec.compute_units < 1:
            raise SpecRefused("A cluster needs at least 1 compute unit.")
        if not spec.token:
            raise SpecRefused("A cluster needs a token that is not empty.")

    def create(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        with directory.locked():
            guard()
            state = self._lifecycle.settle_state(directory, spec)
        message = f"Directory created. The port is {state.port}."
        yield Progress(percent=10, phase="preparing", message=message)
        yield from self._lifecycle.bring_up(directory, spec, guard, begin=10)

    def start(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        yield from self._lifecycle.bring_up(directory, spec, guard, begin=0)

    def stop(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        directory = self._directory(cluster_id)
        yield from self._lifecycle.bring_down(directory, guard, begin=0, end=95)
        yield Progress(percent=100, phase="stopped", message="Stopped; all data is on disk.")

    def restart(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        yield from self._lifecycle.bring_down(directory, guard, begin=0, end=40)
        yield from self._lifecycle.bring_up(directory, spec, guard, begin=40)

    def scale(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        """Scale without a restart. A stopped cluster gets its new size at its next start."""
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        state = directory.state()
        if state is None or state.should_run or directory.process() is not None:
            yield from self._lifecycle.bring_up(directory, spec, guard, begin=0)
            return
        with directory.locked():
            guard()
            self._lifecycle.settle_state(directory, spec)
        yield Progress(
            percent=100, phase="scaling", message="The new size takes effect at the next start."
        )

    def upgrade(self, spec: ClusterSpec, guard: Guard) -> Iterator[Progress]:
        """Restart the cluster if its process has another version."""
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        identity = directory.process()
        if identity is not None:
            running = self._lifecycle.health(directory.cluster_id, identity)["version"]
            if running != spec.version:
                yield from self._lifecycle.bring_down(directory, guard, begin=0, end=40)
        yield from self._lifecycle.bring_up(directory, spec, guard, begin=40)

    def hold(self, cluster_id: str, guard: Guard) -> None:
        directory = self._directory(cluster_id)
        self._save_held(directory, True, guard)
        self._call_hold(directory, True, guard)

    def keep_copy(self, cluster_id: str, version: str, guard: Guard) -> Iterator[Progress]:
        directory = self._directory(cluster_id)
        if copies.has_copy(directory, version):
            return
        yield from self._lifecycle.bring_down(directory, guard, begin=0, end=60)
        yield between(60, 100, 0.1, "copying", "Copying the data directory.")
        guard()
        copies.make_copy(directory, version)
        yield Progress(percent=100, phase="copying", message=f"Data of {version} copied.")

    def go_back(self, spec: ClusterSpec, leaving: str, guard: Guard) -> Iterator[Progress]:
        self.validate(spec)
        directory = self._directory(spec.cluster_id)
        if copies.has_copy(directory, spec.version):
            yield from self._lifecycle.bring_down(directory, guard, begin=0, end=30)
            with directory.locked():
                guard()
                copies.exchange(directory, spec.version, leaving=leaving)
            yield between(30, 40, 1, "exchanging", f"Data of {spec.version} put back.")
        yield from self._lifecycle.bring_up(directory, spec, guard, begin=40)

    def open(self, cluster_id: str, guard: Guard) -> None:
        directory = self._directory(cluster_id)
        self._save_held(directory, False, guard)
        self._call_hold(directory, False, guard)

    def drop_copy(self, cluster_id: str, version: str, guard: Guard) -> None:
        guard()
        copies.drop(self._directory(cluster_id), version)

    def has_copy(self, cluster_id: str, version: str) -> bool:
        return copies.has_copy(self._directory(cluster_id), version)

    def copy_size(self, cluster_id: str) -> CopySize | None:
        return copies.size_of(self._directory(cluster_id))

    def _save_held(self, directory: ClusterDirectory, held: bool, guard: Guard) -> None:
        with directory.locked():
            guard()
            state = directory.state()
            if state is not None and state.held != held:
                directory.save(dataclasses.replace(state, held=held))

    def _call_hold(self, directory: ClusterDirectory, held: bool, guard: Guard) -> None:
        identity = directory.process()
        if identity is not None:
            guard()
            client = self._lifecycle.client(directory.cluster_id, identity)
            client.call("Hold", timeout_seconds=_HOLD_SECONDS, held=held)

    def delete(self, cluster_id: str, guard: Guard) -> Iterator[Progress]:
        directory = self._directory(cluster_id)
        yield from self._lifecycle.bring_down(directory, guard, begin=0, end=60)
        with directory.locked():
            guard()
            directory.remove()
        yield Progress(percent=100, phase="deleting", message="Data and port removed.")

    def rotate(self, spec: ClusterSpec, guard: Guard) -> None:
        identity = self._directory(spec.cluster_id).process()
        if identity is not None:
            guard()
            client = self._lifecycle.client(spec.cluster_id, identity)
            sha256 = fingerprint(spec.token)
            client.call("Rotate", timeout_seconds=HEALTH_SECONDS, token_sha256=sha256)

    def observe(self, cluster_ids: Sequence[str]) -> dict[str, Observation]:
        if not cluster_ids:
            return {}
        with futures.ThreadPoolExecutor(min(_WATCHERS, len(cluster_ids))) as watchers:
            return dict(zip(cluster_ids, watchers.map(self._observe, cluster_ids), strict=True))

    def console_access(self, cluster_id: str) -> ConsoleAccess | None:
        directory = self._directory(cluster_id)
        identity = directory.process()
        if identity is None:
            return None
        return ConsoleAccess(
            endpoint=Endpoint(host=HOST, port=identity.port),
            credential=self._lifecycle.credential(cluster_id),
            control=self._lifecycle.client(cluster_id, identity),
            snapshots=directory.snapshots,
        )

    def load(self, cluster_id: str) -> Load | None:
        return observe.load(self._directory(cluster_id))

    def usage(self, cluster_ids: Sequence[str]) -> dict[str, Usage]:
        if not cluster_ids:
            return {}
        with futures.ThreadPoolExecutor(min(_WATCHERS, len(cluster_ids))) as watchers:
            measured = zip(cluster_ids, watchers.map(self._usage, cluster_ids), strict=True)
            return {cluster_id: usage for cluster_id, usage in measured if usage is not None}

    def free_bytes(self, cluster_id: str) -> int | None:
        """Return the free space of the disk, which is shared with other writers."""
        try:
            return shutil.disk_usage(self._directory(cluster_id).path).free
        except FileNotFoundError:
            return None

    def free_bytes_for_new(self) -> int | None:
        return shutil.disk_usage(self._data_dir).free if self._data_dir.exists() else None

    def log_end(self, cluster_id: str, lines: int) -> str:
        directory = self._directory(cluster_id)
        if not directory.log.exists():
            raise DriverError(
                f"{cluster_id} has no log yet. It begins with the first start.", permanent=True
            )
        return directory.log_end(lines, max_characters=LOG_END_BYTES)

    def cluster_ids(self) -> list[str]:
        return cluster_ids(self._data_dir)

    def _observe(self, cluster_id: str) -> Observation:
        try:
            return observe.observe(self._directory(cluster_id), self._lifecycle)
        except (DriverError, OSError) as error:
            # A cluster that cannot be observed must not hide the others.
            return Observation(presence=Presence.MISSING, message=str(error))

    def _usage(self, cluster_id: str) -> Usage | None:
        try:
            return observe.usage(self._directory(cluster_id), self._lifecycle)
        except (DriverError, OSError):
            return None

    def _directory(self, cluster_id: str) -> ClusterDirectory:
        return ClusterDirectory(self._data_dir, cluster_id)
