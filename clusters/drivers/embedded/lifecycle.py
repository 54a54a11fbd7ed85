"""From what there is to what was asked: bring a cluster up or down, wherever it stands."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from clusters.drivers.base import ClusterSpec, DriverError, Guard, Progress
from clusters.drivers.embedded import process
from clusters.drivers.embedded.answers import Health, Unreachable, checked_health
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
_POLL_SECONDS = 0.1
_STOP_SECONDS = 30.0
_MAX_START_EXTENSIONS = 20
"""How many time-outs a start that shows signs of life may last."""


class Lifecycle:
    """Locks are held for moments, never while waiting: whoever holds one may be stopped midway."""

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

    def settle_state(self, directory: ClusterDirectory, spec: ClusterSpec) -> ClusterState:
        """Write down what the spec says; the port is chosen once. Needs the directory's lock."""
        known = directory.state()
        with file_lock(directory.root / "ports.lock"):
            directory.make()
            state = ClusterState(
                port=known.port if known is not None else choose_port(self._data_dir),
                version=spec.version,
                compute_units=spec.compute_units,
                should_run=known is not None and known.should_run,
            )
            if state != known:
                directory.save(state)
        return state

    # Up

    def bring_up(
        self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard, *, begin: int
    ) -> Iterator[Progress]:
        """Do whatever is missing until the cluster answers with the spec's token."""
        message = self._ensure_process(directory, spec, guard)
        yield between(begin, 100, 0.05, "starting", message)
        for share, message in self._until_ready(directory, spec, guard):
            yield between(begin, 100, 0.1 + 0.75 * share, "opening", message)
        identity = _living(directory)
        guard()
        cores = self._hand_over_settings(spec, identity)
        yield between(begin, 100, 0.9, "health", f"It works on {cores} cores.")
        check_token(identity.port, spec.token)
        yield Progress(percent=100, phase="health", message="It answers with its token.")

    def _hand_over_settings(self, spec: ClusterSpec, identity: ProcessIdentity) -> int:
        """A process that was found running may have another token or size than the spec."""
        client = self.client(spec.cluster_id, identity)
        client.call("Rotate", token_sha256=fingerprint(spec.token))
        return int(client.call("SetCores", cores=spec.compute_units)["cores"])

    def _ensure_process(self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard) -> str:
        with directory.locked():
            guard()
            state = self.settle_state(directory, spec)
            if directory.process() is not None:
                directory.save(dataclasses.replace(state, should_run=True))
                return "Its process runs already."
            state = self._with_free_port(directory, state)
            directory.save(dataclasses.replace(state, should_run=True))
            guard()
            self._spawn(directory, state, spec)
        return "Started its process."

    def _spawn(self, directory: ClusterDirectory, state: ClusterState, spec: ClusterSpec) -> None:
        process.spawn(
            directory,
            state,
            data_dir=self._data_dir,
            token=spec.token,
            control_credential=control_credential(self._control_key, spec.cluster_id),
            memory_bytes=self._memory_bytes,
        )

    def _with_free_port(self, directory: ClusterDirectory, state: ClusterState) -> ClusterState:
        if is_free(state.port):
            return state
        with file_lock(directory.root / "ports.lock"):
            state = dataclasses.replace(state, port=choose_port(self._data_dir))
            directory.save(state)
            return state

    def _until_ready(
        self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard
    ) -> Iterator[tuple[float, str]]:
        """The share of collections that are open, about once a second, until all are."""
        patience = _Deadline(self._start_timeout_seconds)
        while not (health := self._health_or_none(directory)).get("ready"):
            message = str(health.get("message") or "Waiting for its first answer.")
            if directory.process() is None:
                self._start_again(directory, spec, guard)
            if patience.is_over(f"{message} {health.get('cpu_seconds')}"):
                raise DriverError(_quoting(directory, f"did not answer in time ({message})"))
            if patience.is_time_to_report():
                yield health.get("opened", 0) / max(1, health.get("collections", 0)), message
            time.sleep(_POLL_SECONDS)
        _check_failures(directory, health)

    def _start_again(self, directory: ClusterDirectory, spec: ClusterSpec, guard: Guard) -> None:
        """It ended; if it lost its port to another program, that can be helped."""
        state = directory.state()
        if state is None or is_free(state.port):
            raise DriverError(_quoting(directory, "ended while it was starting"))
        self._ensure_process(directory, spec, guard)

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
        yield between(begin, end, 0.05, "stopping", "Asking it to flush and end.")
        guard()
        for second, _ in enumerate(process.end(identity, timeout_seconds=_STOP_SECONDS), start=1):
            share = 0.1 + 0.8 * min(1, second / _STOP_SECONDS)
            message = f"It finishes what it has begun ({second} s)."
            yield between(begin, end, share, "stopping", message)
        yield between(begin, end, 1, "stopping", "Its process is gone.")


class _Deadline:
    """A deadline that moves with every sign of life up to a last one, and a second hand."""

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

    def is_time_to_report(self) -> bool:
        now = time.monotonic()
        if now < self._next_report:
            return False
        self._next_report = now + 1
        return True


def mark_stopped(directory: ClusterDirectory) -> None:
    """From now on its absence is what was asked for, not a crash."""
    state = directory.state()
    if state is not None and state.should_run:
        directory.save(dataclasses.replace(state, should_run=False))


def between(begin: int, end: int, share: float, phase: str, message: str) -> Progress:
    percent = begin + int((end - begin) * share)
    return Progress(percent=percent, phase=phase, message=message)


def _living(directory: ClusterDirectory) -> ProcessIdentity:
    identity = directory.process()
    if identity is None:
        raise DriverError(_quoting(directory, "ended right after it was up"))
    return identity


def _check_failures(directory: ClusterDirectory, health: Health) -> None:
    """It serves the rest, but what was there before does not all answer: that is no success."""
    if failures := health["failures"]:
        name, why = next(iter(failures.items()))
        raise DriverError(_quoting(directory, f"is up without collection {name}. {why}"))


def _quoting(directory: ClusterDirectory, what: str) -> str:
    return f"Cluster {directory.cluster_id} {what}. Its log ends:\n{directory.log_end()}"
