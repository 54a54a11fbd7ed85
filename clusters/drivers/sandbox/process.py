"""Confinement of this process, with a check of the calls that the kernel refuses afterwards."""

from __future__ import annotations

import dataclasses
import enum
import os
import resource
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clusters.drivers.sandbox import kernel, landlock, seccomp

_MAX_OPEN_FILES = 16_384
_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/usr/share/zoneinfo", "/usr/share/locale"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf"),
    *("/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat"),
    *("/proc/sys/vm/overcommit_memory", "/proc/sys/net/core/somaxconn"),
    *("/sys/devices/system/cpu", "/sys/devices/system/node"),
    *("/sys/kernel/mm/transparent_hugepage", "/dev/urandom", "/dev/random", "/dev/zero"),
)


class Level(enum.StrEnum):
    """Degree of confinement of a process."""

    FULL = "full"
    """Files confined by Landlock; connections, signals, tracing and programs by seccomp."""
    FILES = "files"
    """Files confined by Landlock only."""
    NONE = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    read: Sequence[Path]
    write: Sequence[Path]
    ports: Sequence[int] = ()
    """TCP ports to listen on."""
    data_bytes: int | None = None
    """Limit of private memory, as RLIMIT_DATA counts it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confinement:
    """Level of a process, and the reasons for a level below `FULL`."""

    level: Level
    problems: Sequence[str] = ()

    @property
    def message(self) -> str:
        return " ".join(self.problems)


def offered() -> Level:
    """Return the level that this kernel offers to a new process. Changes nothing."""
    if landlock.version() < landlock.MIN_VERSION:
        return Level.NONE
    return Level.FULL if seccomp.is_available() else Level.FILES


def confine(sandbox: Sandbox) -> Confinement:
    """Confine this process irrevocably, while the process has a single thread.

    Landlock restricts the calling thread and the threads that it starts. A step that fails is
    reported and skipped. The level is determined by calls that must be refused, not by the results
    of the steps. Raises no OSError.
    """
    version, threads = landlock.version(), len(os.listdir("/proc/self/task"))
    problems = [
        *_limit(sandbox),
        *_give_up_capabilities(),
        *_restrict_files(sandbox, version),
        *_filter_calls(version),
    ]
    if not sandbox.ports:
        problems += forbid_listening()
    is_files = threads == 1 and _is_refused(lambda: os.listdir("/"))
    is_calls = _is_refused(lambda: socket.socket(socket.AF_UNIX).close())
    if threads > 1:
        problems.append(
            f"Landlock confines only one of the {threads} threads that were already running."
        )
    if not is_files:
        problems.append("Files are not confined.")
    if not is_calls:
        problems.append("Connections, signals and programs are not confined.")
    level = Level.NONE if not is_files else Level.FULL if is_calls else Level.FILES
    return Confinement(level=level, problems=problems)


def forbid_listening() -> list[str]:
    """Forbid further listening sockets to all threads. Returns the problems.

    A socket that listens without being bound gets a port of the kernel's choice on all addresses,
    which Landlock does not check. A server calls this function when it is listening.
    """
    try:
        kernel.forbid_new_privileges()
        seccomp.forbid_listening()
    except OSError as error:
        return [f"Further listening sockets could not be forbidden: {error}."]
    return []


def interpreter_paths() -> list[Path]:
    """Return the paths from which Python and its libraries are loaded, including late imports."""
    own = sysconfig.get_paths()
    paths = {own[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    if sys.base_prefix not in ("/usr", "/usr/local"):
        paths.add(f"{sys.base_prefix}/lib")
    paths |= set(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    return [Path(path) for path in (*sorted(paths), *_SYSTEM)]


# Steps, which yield their problems


def _limit(sandbox: Sandbox) -> Iterator[str]:
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _MAX_OPEN_FILES}
    if sandbox.data_bytes is not None:
        limits[resource.RLIMIT_DATA] = sandbox.data_bytes
    for kind, maximum in limits.items():
        _, hard = resource.getrlimit(kind)
        limit = maximum if hard == resource.RLIM_INFINITY else min(maximum, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError) as error:
            yield f"A limit could not be set: {error}."


def _give_up_capabilities() -> Iterator[str]:
    """Drop root's rights to the network and to file systems. Files of other users in its own
    directory stay accessible.
    """
    try:
        kernel.keep_capabilities(kernel.CAP_DAC_OVERRIDE)
    except OSError as error:
        yield f"Capabilities could not be given up: {error}."


def _restrict_files(sandbox: Sandbox, version: int) -> Iterator[str]:
    if version < landlock.MIN_VERSION:
        yield (
            f"The kernel offers Landlock {version}, but version {landlock.MIN_VERSION} is needed "
            "(Linux 5.19 with lsm=landlock)."
        )
        return
    read = [path for path in sandbox.read if not _holds_one_of(path, sandbox.write)]
    write = [*sandbox.write, Path("/dev/null")]
    try:
        kernel.forbid_new_privileges()
        landlock.restrict(read, write, ports=sandbox.ports, version=version)
    except OSError as error:
        yield f"Landlock failed: {error}."


def _holds_one_of(path: Path, others: Sequence[Path]) -> bool:
    """Return True for a directory above one of the others, which would make that one readable."""
    resolved = path.resolve()
    return any(resolved in other.resolve().parents for other in others)


def _filter_calls(landlock_version: int) -> Iterator[str]:
    try:
        kernel.forbid_new_privileges()
        seccomp.install(os.getpid(), guards_truncation=landlock_version < 3)
    except OSError as error:
        yield f"The seccomp filter failed: {error}."


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    return False
