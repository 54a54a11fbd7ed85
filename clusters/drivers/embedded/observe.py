from __future__ import annotations

import dataclasses
import datetime

import psutil

from clusters.drivers.base import Endpoint, Load, Observation, Presence, Usage
from clusters.drivers.embedded.answers import Unreachable, as_text
from clusters.drivers.embedded.layout import HOST, ClusterDirectory
from clusters.drivers.embedded.lifecycle import Lifecycle
from clusters.drivers.embedded.record import ProcessIdentity


def observe(directory: ClusterDirectory, lifecycle: Lifecycle) -> Observation:
    identity = directory.process()
    if identity is None:
        return _without_process(directory)
    starting = Observation(
        presence=Presence.STARTING,
        endpoint=Endpoint(host=HOST, port=identity.port),
        started_at=_started_at(identity),
    )
    try:
        health = lifecycle.health(directory.cluster_id, identity)
    except Unreachable as error:
        return dataclasses.replace(starting, message=str(error))
    failures = [f"{name}: {reason}" for name, reason in health["failures"].items()]
    return dataclasses.replace(
        starting,
        presence=Presence.RUNNING if health["ready"] else Presence.STARTING,
        message=as_text("; ".join([health["message"], *failures]).strip("; ")),
        effective_cores=health["cores"],
        confinement=health["confinement"],
    )


def _without_process(directory: ClusterDirectory) -> Observation:
    state = directory.state()
    if state is None and not directory.data.exists():
        return Observation(presence=Presence.MISSING)
    if state is None:
        message = "cluster.json cannot be read, and the data exists. The next start writes it."
        return Observation(presence=Presence.CRASHED, message=message)
    endpoint = Endpoint(host=HOST, port=state.port)
    if not state.should_run:
        return Observation(presence=Presence.STOPPED, endpoint=endpoint)
    message = f"The process ended unexpectedly. Its log ends:\n{directory.log_end(5)}"
    return Observation(presence=Presence.CRASHED, endpoint=endpoint, message=message)


def _started_at(identity: ProcessIdentity) -> datetime.datetime | None:
    try:
        started = psutil.Process(identity.pid).create_time()
    except psutil.Error:
        return None
    return datetime.datetime.fromtimestamp(started, datetime.UTC)


def load(directory: ClusterDirectory) -> Load | None:
    identity = directory.process()
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        times, cores = process.cpu_times(), len(process.cpu_affinity() or ())
    except psutil.Error:
        return None
    now = datetime.datetime.now(datetime.UTC)
    return Load(cpu_seconds=times.user + times.system, cores=cores, measured_at=now)


def usage(directory: ClusterDirectory, lifecycle: Lifecycle) -> Usage | None:
    """Measure the process. Its own answer, which is not trusted, adds rows, disk and calls."""
    identity = directory.process()
    if identity is None:
        return None
    try:
        process = psutil.Process(identity.pid)
        times, memory_bytes = process.cpu_times(), process.memory_info().rss
    except psutil.Error:
        return None
    counted = lifecycle.usage(directory.cluster_id, identity)
    return Usage(
        measured_at=datetime.datetime.now(datetime.UTC),
        cpu_seconds=times.user + times.system,
        memory_bytes=memory_bytes,
        **counted,
    )
