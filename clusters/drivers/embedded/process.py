"""Start, find and end the process of a cluster, which outlives the process that started it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from clusters.drivers.base import DriverError
from clusters.drivers.embedded import engines
from clusters.drivers.embedded.layout import ClusterDirectory, ClusterState
from clusters.drivers.embedded.record import ProcessIdentity
from clusters.drivers.embedded.server.authentication import fingerprint

_PROJECT = Path(__file__).resolve().parents[3]
_MODULE = "clusters.drivers.embedded.server.launcher"
_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_RECORD_TIMEOUT_SECONDS = 30.0
_INHERITED = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
_INHERITED_PREFIXES = ("LC_", "OMP_", "MILVUS_LITE_", "COVERAGE_")


def spawn(
    directory: ClusterDirectory,
    state: ClusterState,
    *,
    data_dir: Path,
    token: str,
    control_credential: str,
    memory_bytes: int | None,
) -> ProcessIdentity:
    """Start the launcher and wait until the process has written its record.

    If the caller dies meanwhile, the process receives no credentials and ends.
    """
    search_path = engines.search_path(state.version)
    if directory.log.exists() and directory.log.stat().st_size > _LOG_LIMIT_BYTES:
        directory.log.replace(directory.log.with_suffix(".log.1"))
    private = partial(os.open, mode=0o600)
    with open(directory.log, "a+b", opener=private) as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _command(directory, state, memory_bytes),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(os.environ, data_dir, search_path),
            cwd=directory.path,
            start_new_session=True,
        )
    fingerprints = {
        "token_sha256": fingerprint(token),
        "control_sha256": fingerprint(control_credential),
    }
    assert process.stdin is not None  # noqa: S101 - a pipe was requested
    # A process that has ended already explains the end in its log.
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(f"{json.dumps(fingerprints)}\n".encode())
    return _await_record(directory, process)


def _command(
    directory: ClusterDirectory, state: ClusterState, memory_bytes: int | None
) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", _MODULE),
        *("--data-dir", str(directory.data), "--record-dir", str(directory.path)),
        *("--port", str(state.port), "--cores", str(state.compute_units)),
        *(("--memory-bytes", str(memory_bytes)) if memory_bytes else ()),
        *(("--held",) if state.held else ()),
    ]


def environment(
    own: Mapping[str, str], data_dir: Path, search_path: Sequence[Path] = ()
) -> dict[str, str]:
    """Select named variables only, so that the process never receives secrets of the console.

    `search_path` contains the engine's version, and precedes the interpreter's own packages.
    """
    kept = {
        name: value
        for name, value in own.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    modules = os.pathsep.join(map(str, [*search_path, _PROJECT]))
    return {**kept, "PYTHONPATH": modules, "VBASE_DATA_DIR": str(data_dir)}


def _await_record(directory: ClusterDirectory, process: subprocess.Popen[bytes]) -> ProcessIdentity:
    deadline = time.monotonic() + _RECORD_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        identity = ProcessIdentity.read(directory.path)
        if identity is not None and identity.pid == process.pid:
            process.returncode = 0  # no wait for a process that outlives its parent
            return identity
        time.sleep(0.02)
    raise DriverError(
        f"The process of cluster {directory.cluster_id} did not start. Its log ends:\n"
        + directory.log_end()
    )


def end(identity: ProcessIdentity, *, timeout_seconds: float) -> Iterator[None]:
    """Terminate the process, kill it after the time-out. Yields about once a second meanwhile.

    A kill loses no acknowledged row, because every row is in the write-ahead log on disk.
    """
    began_at = time.monotonic()
    yields_at = began_at + 1
    _send(identity, signal.SIGTERM)
    while identity.is_alive():
        now = time.monotonic()
        if now > began_at + timeout_seconds:
            _send(identity, signal.SIGKILL)
        if now > yields_at:
            yield
            yields_at = time.monotonic() + 1
        time.sleep(0.05)


def _send(identity: ProcessIdentity, number: signal.Signals) -> None:
    if not identity.is_alive():
        return
    try:
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return
