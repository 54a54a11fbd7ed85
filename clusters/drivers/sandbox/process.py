"""Confine this process, and report what the kernel really does refuse afterwards."""

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
    """How far a process is confined."""

    FULL = "full"
    """Files by Landlock; connections, signals, tracing and programs by seccomp."""
    FILES = "files"
    """Files only."""
    NONE = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    """Everything that a process may still do."""

    read: Sequence[Path]
    write: Sequence[Path]
    ports: Sequence[int] = ()
    """TCP ports to listen on."""
    data_bytes: int | None = None
    """Limit of private memory, as RLIMIT_DATA counts it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confinement:
    """The level of a process, and the reason for everything below `FULL`."""

    level: Level
    problems: Sequence[str] = ()

    @property
    def message(self) -> str:
        return " ".join(self.problems)


def offered() -> Level:
    """The level that this kernel offers to a new process. Changes nothing."""
    if landlock.version() < landlock.MIN_VERSION:
        return Level.NONE
    return Level.FULL if seccomp.is_available() else Level.FILES


def confine(sandbox: Sandbox) -> Confinement:
    """Confine this process for ever. Call it while the process has a single thread, because
    Landlock binds the calling thread and those that it starts.

    A step that the kernel refuses is left out and reported. The level follows from trying what must
    be refused, not from the answers of the steps. Raises no OSError.
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
    is_files = threads == 1 and _is_refused(_list_root)
    is_calls = _is_refused(_make_unix_socket)
    if threads > 1:
        problems.append(f"{threads} threads were running already, and Landlock binds only one.")
    if not is_files:
        problems.append("Files are not confined.")
    if not is_calls:
        problems.append("Connections, signals and programs are not confined.")
    level = Level.NONE if not is_files else Level.FULL if is_calls else Level.FILES
    return Confinement(level=level, problems=problems)


def forbid_listening() -> list[str]:
    """Forbid all threads any further listening socket. Returns the problems that it met.

    One that listens without being bound gets a port of the kernel's choice on every address, and
    Landlock is not asked about it. A server calls this when it listens already.
    """
    try:
        kernel.forbid_new_privileges()
        seccomp.forbid_listening()
    except OSError as error:
        return [f"Further listening sockets could not be forbidden: {error}."]
    return []


def interpreter_paths() -> list[Path]:
    """Files that Python and the libraries of this environment are loaded from, late imports too."""
    own = sysconfig.get_paths()
    paths = {own[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {each for each in sys.path if each.endswith(("site-packages", "dist-packages"))}
    if sys.base_prefix not in ("/usr", "/usr/local"):
        paths.add(f"{sys.base_prefix}/lib")
    paths |= set(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))
    return [Path(path) for path in (*sorted(paths), *_SYSTEM)]


# Steps; each returns the problems that it met


def _limit(sandbox: Sandbox) -> Iterator[str]:
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _MAX_OPEN_FILES}
    if sandbox.data_bytes is not None:
        wanted[resource.RLIMIT_DATA] = sandbox.data_bytes
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError) as error:
            yield f"A limit could not be set: {error}."


def _give_up_capabilities() -> Iterator[str]:
    """Root could still change the network or a whole file system. Files of other users in its own
    directory stay reachable.
    """
    try:
        kernel.keep_capabilities(kernel.CAP_DAC_OVERRIDE)
    except OSError as error:
        yield f"Capabilities could not be given up: {error}."


def _restrict_files(sandbox: Sandbox, version: int) -> Iterator[str]:
    if version < landlock.MIN_VERSION:
        yield (
            f"The kernel offers Landlock {version}, and {landlock.MIN_VERSION} is needed "
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
    """A library directory above the data of all clusters would open all of them for reading."""
    resolved = path.resolve()
    return any(resolved in other.resolve().parents for other in others)


def _filter_calls(landlock_version: int) -> Iterator[str]:
    try:
        kernel.forbid_new_privileges()
        seccomp.install(os.getpid(), guards_truncation=landlock_version < 3)
    except OSError as error:
        yield f"The seccomp filter failed: {error}."


# Proofs


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    return False


def _list_root() -> None:
    os.listdir("/")


def _make_unix_socket() -> None:
    socket.socket(socket.AF_UNIX).close()
