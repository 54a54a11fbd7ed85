"""Bring a cluster up or down from any state."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from clusters.drivers.base import ClusterSpec, DriverError, Guard, Progress
from clusters.drivers.embedded import process
from clusters.drivers.embedded.answers import Health, Unreachable, checked_counts, checked_health
from clusters.drivers.embedded.client import ControlClient, check_token
from clusters.drivers.embedded.layout import (
    ClusterDirectory,
    ClusterState,
    choose_port,
    file_lock,
    is_free,
)
from clusters.drivers.embedded.record import ProcessIdentity
from clusters.drivers.embedded.server.authentication import control_credential, fingerprint

HEALTH_SECONDS = 2.0
USAGE_SECONDS = 5.0
USAGE_COUNTS = ("rows", "disk_bytes", "requests")
_POLL_SECONDS = 0.1
_STOP_SECONDS = 30.0
_MAX_START_EXTENSIONS = 20
"""Maximum duration of a start with progress, in multiples of the time-out."""


class Lifecycle:
    """Locks are held for moments, never while waiting, because a caller may be stopped midway."""

    def __init__(
        self,
        data_dir: Path,
        control_key: bytes,
        start_timeout_seconds: float,
        memory_bytes: int | None,
    ) -> None:
        self._data_dir = data_dir
        self._control_key = control_key
        self._start_timeout_seconds = start_timeout_seconds
        self._memory_bytes = memory_bytes

    def client(self, cluster_id: str, identity: ProcessIdentity) -> ControlClient:
        return ControlClient(identity.port, self.credential(cluster_id))

    def credential(self, cluster_id: str) -> str:
        return control_credential(self._control_key, cluster_id)

    def health(self, cluster_id: str, identity: ProcessIdentity) -> Health:
        client = self.client(cluster_id, identity)
        return checked_health(client.call("Health", timeout_seconds=HEALTH_SECONDS))

    def usage(self, cluster_id: str, identity: ProcessIdentity) -> dict[str, int]:
        client = self.client(cluster_id, identity)
        return checked_counts(client.call("Usage", timeout_seconds=USAGE_SECONDS), USAGE_COUNTS)

    def settle_state(self, directory: ClusterDirectory, spec: ClusterSpec) -> ClusterState:
        """Save the state of the spec; the port is chosen once. The caller holds the lock."""
        known = directory.state()
        with file_lock(directory.root / "ports.lock"):
            directory.make()
            state = ClusterState(
                port=known.port if known is not None else choose_port(self._data_dir),
                version=spec.version,
                compute_units=spec.compute_units,
                should_run=known is not None and known.should_run,
                held=known is not None and known.held,
            )
            if state != known:
                directory.save(state)
        return state

    # Up

    def bring_up(
        self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard, *, begin: int
    ) -> Iterator[Progress]:
        """Complete all missing steps until the cluster answers with the spec's token."""
        message = self._ensure_process(directory, spec, guard)
        yield between(begin, 100, 0.05, "starting", message)
        for share, message in self._until_ready(directory, spec, guard):
            yield between(begin, 100, 0.1 + 0.75 * share, "opening", message)
        identity = directory.process()
        if identity is None:
            raise DriverError(_quoting(directory, "ended right after its start"))
        guard()
        client = self.client(spec.cluster_id, identity)
        # A process that was already running may have another token or size than the spec.
        client.call("Rotate", token_sha256=fingerprint(spec.token))
        cores = int(client.call("SetCores", cores=spec.compute_units)["cores"])
        yield between(begin, 100, 0.9, "health", f"Cores in use: {cores}.")
        check_token(identity.port, spec.token)
        yield Progress(percent=100, phase="health", message="The cluster answers with its token.")

    def _ensure_process(self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard) -> str:
        with directory.locked():
            guard()
            state = self.settle_state(directory, spec)
            if directory.process() is not None:
                directory.save(dataclasses.replace(state, should_run=True))
                return "The process is running already."
            if not is_free(state.port):
                with file_lock(directory.root / "ports.lock"):
                    state = dataclasses.replace(state, port=choose_port(self._data_dir))
                    directory.save(state)
            directory.save(dataclasses.replace(state, should_run=True))
            guard()
            process.spawn(
                directory,
                state,
                data_dir=self._data_dir,
                token=spec.token,
                control_credential=self.credential(spec.cluster_id),
                memory_bytes=self._memory_bytes,
            )
        return "Process started."

    def _until_ready(
        self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard
    ) -> Iterator[tuple[float, str]]:
        """Yield the share of opened collections about once a second until all are open.

        Raises DriverError if a collection cannot be opened or loaded.
        """
        deadline = _Deadline(self._start_timeout_seconds)
        while not (health := self._health_or_none(directory)).get("ready"):
            message = str(health.get("message") or "Waiting for the first answer.")
            if directory.process() is None:
                state = directory.state()
                if state is None or is_free(state.port):
                    raise DriverError(_quoting(directory, "ended while it was starting"))
                # Another program took the port.
                self._ensure_process(directory, spec, guard)
            if deadline.is_over(f"{message} {health.get('cpu_seconds')}"):
                raise DriverError(_quoting(directory, f"did not answer in time ({message})"))
            if deadline.is_report_due():
                yield health.get("opened", 0) / max(1, health.get("collections", 0)), message
            time.sleep(_POLL_SECONDS)
        if failures := health["failures"]:
            name, why = next(iter(failures.items()))
            raise DriverError(_quoting(directory, f"is running without collection {name}. {why}"))

    def _health_or_none(self, directory: ClusterDirectory) -> Health:
        identity = directory.process()
        if identity is None:
            return {}
        try:
            return self.health(directory.cluster_id, identity)
        except Unreachable:
            return {}

    # Down

    def bring_down(
        self, directory: ClusterDirectory, guard: Guard, *, begin: int, end: int
    ) -> Iterator[Progress]:
        with directory.locked():
            guard()
            mark_stopped(directory)
            identity = directory.process()
        if identity is None:
            return
        yield between(begin, end, 0.05, "stopping", "Requesting flush and exit.")
        guard()
        for second, _ in enumerate(process.end(identity, timeout_seconds=_STOP_SECONDS), start=1):
            share = 0.1 + 0.8 * min(1, second / _STOP_SECONDS)
            message = f"Waiting for running calls ({second} s)."
            yield between(begin, end, share, "stopping", message)
        yield between(begin, end, 1, "stopping", "The process has ended.")


class _Deadline:
    """Deadline that each sign of progress extends up to a limit, and the interval of reports."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._last_deadline = time.monotonic() + _MAX_START_EXTENSIONS * timeout_seconds
        self._seen = ""
        self._deadline = 0.0
        self._next_report = 0.0

    def is_over(self, sign: str) -> bool:
        now = time.monotonic()
        if sign != self._seen:
            self._seen, self._deadline = sign, now + self._timeout_seconds
        return now > min(self._deadline, self._last_deadline)

    def is_report_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_report:
            return False
        self._next_report = now + 1
        return True


def mark_stopped(directory: ClusterDirectory) -> None:
    """Record the stop request, so that the missing process is not observed as a crash."""
    state = directory.state()
    if state is not None and state.should_run:
        directory.save(dataclasses.replace(state, should_run=False))


def between(begin: int, end: int, share: float, phase: str, message: str) -> Progress:
    percent = begin + int((end - begin) * share)
    return Progress(percent=percent, phase=phase, message=message)


def _quoting(directory: ClusterDirectory, problem: str) -> str:
    return f"Cluster {directory.cluster_id} {problem}. Its log ends:\n{directory.log_end()}"
