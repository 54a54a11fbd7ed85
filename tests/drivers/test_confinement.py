"""A cluster's process reaches its own data and its own port, and nothing else.

Every attempt is a system call that the process itself makes. The targets are files, ports and
processes of this test.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymilvus import MilvusException

from clusters.drivers.sandbox import limits
from clusters.drivers.sandbox.limits import UNTOUCHED_BYTES, machine_bytes
from tests.drivers.confined import (
    COLUMN,
    HERE,
    NUMBERS,
    Confined,
    Value,
    as_text,
    internet_address,
    unix_address,
)
from tests.drivers.launched import (
    Launched,
    ids,
    make_collection,
    nearest,
    rows,
    threads_cores,
)

REFUSALS = {"EACCES", "EPERM", "EXDEV"}
SECRET = "the canary is alive"
O_TMPFILE = 0o20200000
RENAME_EXCHANGE = 2
FAST_OPEN = 0x20000000
SET_DEVICE_FLAGS = 0x8914
CAP_DAC_OVERRIDE = 1 << 1


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the cluster's process may read as one of its libraries."""
    path = tmp_path_factory.mktemp("library") / "library.so"
    path.write_text(SECRET)
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Confined]:
    root = tmp_path_factory.mktemp("confined")
    (root / "vc-1").mkdir()
    record, libraries = str(root / "vc-1"), str(library.parent)
    launched = Confined(root / "vc-1" / "data", "--record-dir", record, LD_LIBRARY_PATH=libraries)
    yield launched.start()
    launched.close()


@pytest.fixture
def own(cluster: Confined) -> str:
    """A file of the cluster's own."""
    path = cluster.data_dir / "own"
    path.write_text("own")
    return str(path)


class Canary:
    """A directory outside of the cluster's, and everything that could be changed about it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "empty").mkdir(parents=True)
        self.file = str(directory / "file")
        Path(self.file).write_text(SECRET)
        self.before = self.look()

    def __str__(self) -> str:
        return str(self.directory)

    def look(self) -> list[Any]:
        paths = [self.directory, *sorted(self.directory.rglob("*"))]
        seen = [(str(path), os.lstat(path)) for path in paths]
        return [
            (path, at.st_mode, at.st_uid, at.st_nlink, at.st_size, at.st_mtime_ns, at.st_ino)
            for path, at in seen
        ]

    def is_untouched(self) -> bool:
        return self.look() == self.before and Path(self.file).read_text() == SECRET


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "canary")


# Files

Arguments = Callable[[Canary, str], tuple[Value, ...]]
_HOW_TO_READ = as_text(struct.pack("=QQQ", os.O_RDONLY, 0, 0))
_HOW_TO_WRITE = as_text(struct.pack("=QQQ", os.O_RDWR, 0, 0))

ON_FILES: dict[str, tuple[str, Arguments]] = {
    "read": ("openat", lambda out, own: (HERE, out.file, os.O_RDONLY, 0)),
    "read by the old call": ("open", lambda out, own: (out.file, os.O_RDONLY, 0)),
    "read by the new call": ("openat2", lambda out, own: (HERE, out.file, _HOW_TO_READ, 24)),
    "list": ("openat", lambda out, own: (HERE, str(out), os.O_RDONLY | os.O_DIRECTORY, 0)),
    "write": ("openat", lambda out, own: (HERE, out.file, os.O_WRONLY, 0)),
    "append": ("openat", lambda out, own: (HERE, out.file, os.O_WRONLY | os.O_APPEND, 0)),
    "write by the new call": ("openat2", lambda out, own: (HERE, out.file, _HOW_TO_WRITE, 24)),
    "empty on opening": ("openat", lambda out, own: (HERE, out.file, os.O_TRUNC, 0)),
    "truncate": ("truncate", lambda out, own: (out.file, 0)),
    "create": ("openat", lambda out, own: (HERE, f"{out}/new", os.O_CREAT | os.O_RDWR, 0o600)),
    "create without a name": ("openat", lambda out, own: (HERE, str(out), O_TMPFILE | 2, 0o600)),
    "create by the old call": ("creat", lambda out, own: (f"{out}/new", 0o600)),
    "create over it": ("creat", lambda out, own: (out.file, 0o600)),
    "link it to the inside": ("link", lambda out, own: (out.file, f"{own}.link")),
    "link it to the inside, at": ("linkat", lambda out, own: (HERE, out.file, HERE, f"{own}.l", 0)),
    "link to the outside": ("linkat", lambda out, own: (HERE, own, HERE, f"{out}/new", 0)),
    "move it to the inside": ("rename", lambda out, own: (out.file, f"{own}.moved")),
    "move it to the inside, at": ("renameat", lambda out, own: (HERE, out.file, HERE, f"{own}.m")),
    "move to the outside": ("rename", lambda out, own: (own, f"{out}/new")),
    "move over it": ("renameat2", lambda out, own: (HERE, own, HERE, out.file, 0)),
    "exchange": ("renameat2", lambda out, own: (HERE, own, HERE, out.file, RENAME_EXCHANGE)),
    "move outside": ("rename", lambda out, own: (out.file, f"{out}/new")),
    "delete": ("unlink", lambda out, own: (out.file,)),
    "delete, at": ("unlinkat", lambda out, own: (HERE, out.file, 0)),
    "delete a directory": ("rmdir", lambda out, own: (f"{out}/empty",)),
    "delete a directory, at": ("unlinkat", lambda out, own: (HERE, f"{out}/empty", 0x200)),
    "make a directory": ("mkdirat", lambda out, own: (HERE, f"{out}/new", 0o700)),
    "make a symbolic link": ("symlinkat", lambda out, own: (own, HERE, f"{out}/new")),
    "lead others out": ("symlinkat", lambda out, own: (out.file, HERE, f"{own}.link")),
    "make a pipe": ("mknodat", lambda out, own: (HERE, f"{out}/new", 0o010600, 0)),
    "make a file by mknod": ("mknodat", lambda out, own: (HERE, f"{out}/new", 0o100600, 0)),
    "change the mode": ("fchmodat", lambda out, own: (HERE, out.file, 0o777)),
    "change the mode by the old call": ("chmod", lambda out, own: (out.file, 0o777)),
    "change the owner": ("fchownat", lambda out, own: (HERE, out.file, os.getuid(), -1, 0)),
    "change the owner by the old call": ("chown", lambda out, own: (out.file, os.getuid(), -1)),
    "change the times": ("utimensat", lambda out, own: (HERE, out.file, None, 0)),
    "change an attribute": ("setxattr", lambda out, own: (out.file, "user.a", "b", 1, 0)),
    "take a handle": ("name_to_handle_at", lambda out, own: (HERE, out.file, " " * 64, " " * 8, 0)),
    "mount over it": ("mount", lambda out, own: (own, str(out), "none", 4096, None)),
}  # fmt: skip


def known(attempts: dict[str, tuple[str, Any]]) -> list[str]:
    """Attempts whose call exists on this machine."""
    return [title for title, (name, _) in attempts.items() if NUMBERS[name][COLUMN] is not None]


@pytest.mark.parametrize("title", known(ON_FILES))
def test_what_is_outside_is_neither_read_nor_changed(
    cluster: Confined, canary: Canary, own: str, title: str
) -> None:
    name, arguments = ON_FILES[title]
    assert cluster.error(name, *arguments(canary, own)) in REFUSALS
    assert canary.is_untouched()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("openat", lambda own: (HERE, own, os.O_RDWR | os.O_TRUNC, 0)),
        ("openat", lambda own: (HERE, f"{own}.new", os.O_CREAT | os.O_RDWR, 0o600)),
        ("linkat", lambda own: (HERE, own, HERE, f"{Path(own).parent}/collections/linked", 0)),
        ("renameat2", lambda own: (HERE, own, HERE, f"{own}.moved", 0)),
        ("unlinkat", lambda own: (HERE, own, 0)),
        ("truncate", lambda own: (own, 0)),
    ],
)
def test_what_is_its_own_is_read_and_changed(
    cluster: Confined, own: str, name: str, arguments: Callable[[str], tuple[Value, ...]]
) -> None:
    assert cluster.error(name, *arguments(own)) == ""


@pytest.mark.parametrize(
    "path", ["/", "/etc/passwd", "/proc/1/status", "/proc/sys/kernel/hostname"]
)
def test_the_rest_of_the_machine_is_not_read(cluster: Confined, path: str) -> None:
    assert cluster.error("openat", HERE, path, os.O_RDONLY, 0) == "EACCES"


def test_a_library_is_read_and_not_changed_in_any_way(cluster: Confined, library: Path) -> None:
    before = library.stat()
    descriptor, error = cluster.attempt("openat", HERE, str(library), os.O_RDONLY, 0)
    assert error == ""
    assert cluster.error("fchmod", descriptor, 0o777) == "EPERM"
    assert cluster.error("fsetxattr", descriptor, "user.a", "b", 1, 0) == "EPERM"
    assert cluster.error("openat", HERE, str(library), os.O_WRONLY, 0) == "EACCES"
    assert library.stat()[:8] == before[:8]


def test_the_consoles_record_of_it_is_out_of_its_reach(cluster: Confined) -> None:
    """A cluster that could write it could have the console end any process."""
    record = str(cluster.data_dir.parent / "process.json")
    for flags in (os.O_RDONLY, os.O_WRONLY):
        assert cluster.error("openat", HERE, record, flags, 0) == "EACCES"


def test_two_clusters_do_not_reach_one_another(cluster: Confined, tmp_path: Path) -> None:
    sibling = Confined(cluster.data_dir.parent.parent / "vc-2" / "data").start()
    try:
        client = sibling.client()
        make_collection(client, "c", index="FLAT")
        client.insert("c", rows(1, 2))
        client.flush("c")
        files = [path for path in sibling.data_dir.rglob("*") if path.is_file()]
        assert files
        for path in files:
            assert cluster.error("openat", HERE, str(path), os.O_RDONLY, 0) == "EACCES"
            assert cluster.error("unlinkat", HERE, str(path), 0) == "EACCES"
        assert cluster.error("kill", sibling.pid, signal.SIGKILL) == "EPERM"
        assert nearest(client, "c", 2) == 2
    finally:
        sibling.close()


# Connections


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def is_alone(listening: socket.socket) -> bool:
    """No connection has come in."""
    try:
        listening.accept()
    except BlockingIOError:
        return True
    return False


def test_no_connection_goes_out(cluster: Confined, listener: socket.socket) -> None:
    address = internet_address(listener.getsockname()[1])
    descriptor, error = cluster.attempt("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    assert error == ""
    assert cluster.error("connect", descriptor, address, 16) == "EPERM"
    assert cluster.error("sendto", descriptor, "hello", 5, FAST_OPEN, address, 16) == "EPERM"
    assert cluster.error("sendto", descriptor, "hello", 5, 0, address, 16) == "EPERM"
    assert cluster.error("sendmsg", descriptor, None, FAST_OPEN) == "EPERM"
    assert cluster.error("sendmmsg", descriptor, None, 1, FAST_OPEN) == "EPERM"
    assert is_alone(listener)


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, 0),
        (socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0),
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        (socket.AF_INET, socket.SOCK_STREAM, 262),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (socket.AF_UNIX, socket.SOCK_DGRAM, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, 0),
        (socket.AF_PACKET, socket.SOCK_RAW, 0),
        (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
        (38, socket.SOCK_SEQPACKET, 0),
    ],
)
def test_only_tcp_sockets_are_made(
    cluster: Confined, family: int, kind: int, protocol: int
) -> None:
    assert cluster.error("socket", family, kind, protocol) == "EPERM"


def test_no_datagram_goes_out(cluster: Confined, tmp_path: Path) -> None:
    """From none of the sockets that it has, to an address of another kind."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.bind(path)
        receiving.setblocking(False)
        address = unix_address(path)
        descriptor, _ = cluster.attempt("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
        assert cluster.error("sendto", descriptor, "x", 1, 0, address, 2 + len(path) + 1) == "EPERM"
        assert cluster.error("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM, 0, " " * 8) == "EPERM"
        with pytest.raises(BlockingIOError):
            receiving.recv(1)


def test_it_takes_no_port_but_its_own(cluster: Confined) -> None:
    """Another cluster's clients would send their tokens to it while that cluster is stopped."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    descriptor, _ = cluster.attempt("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    assert cluster.error("bind", descriptor, internet_address(port), 16) == "EACCES"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_it_listens_on_no_port_that_the_kernel_chooses(
    cluster: Confined, family: socket.AddressFamily
) -> None:
    """A socket that is not bound would listen on every address of the machine."""
    descriptor, error = cluster.attempt("socket", family, socket.SOCK_STREAM, 0)
    assert error == ""
    assert cluster.error("listen", descriptor, 1) == "EPERM"
    listening = psutil.Process(cluster.pid).net_connections("tcp")
    ports = {each.laddr.port for each in listening if each.status == psutil.CONN_LISTEN}
    assert ports == {cluster.port}


def test_root_does_not_change_the_network_either(cluster: Confined) -> None:
    """The request names a device that does not exist, so that nothing can happen."""
    descriptor, _ = cluster.attempt("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
    flags = as_text(b"canary0".ljust(40, b"\0"))
    assert cluster.error("ioctl", descriptor, SET_DEVICE_FLAGS, flags) == "EPERM"


def test_root_keeps_no_capability_but_that_for_files_of_others(cluster: Confined) -> None:
    status = Path(f"/proc/{cluster.pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(lines[kind], 16) | CAP_DAC_OVERRIDE == CAP_DAC_OVERRIDE


# Other processes


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "infinity"]) as process:
        yield process
        assert process.poll() is None
        process.kill()


_SIGNAL_DATA = as_text(struct.pack("=iii116x", signal.SIGTERM, 0, -1))
_ONE_SECOND = as_text(struct.pack("=QQ", 1, 1))

ON_PROCESSES: dict[str, tuple[str, Callable[[int], tuple[Value, ...]]]] = {
    "kill": ("kill", lambda pid: (pid, signal.SIGKILL)),
    "ask after": ("kill", lambda pid: (pid, 0)),
    "kill a thread": ("tgkill", lambda pid: (pid, pid, signal.SIGKILL)),
    "kill a thread by the old call": ("tkill", lambda pid: (pid, signal.SIGKILL)),
    "queue a signal": (
        "rt_sigqueueinfo",
        lambda pid: (pid, signal.SIGTERM, _SIGNAL_DATA),
    ),
    "open": ("pidfd_open", lambda pid: (pid, 0)),
    "trace": ("ptrace", lambda pid: (16, pid, 0, 0)),
    "trace without stopping it": ("ptrace", lambda pid: (0x4206, pid, 0, 0)),
    "read its memory": ("process_vm_readv", lambda pid: (pid, " " * 16, 0, " " * 16, 0, 0)),
    "limit": ("prlimit64", lambda pid: (pid, resource.RLIMIT_CPU, _ONE_SECOND, None)),
    "have the kernel signal it": ("fcntl", lambda pid: (1, 8, pid)),
}  # fmt: skip


@pytest.mark.parametrize("title", known(ON_PROCESSES))
def test_no_other_process_is_signalled_or_traced(
    cluster: Confined, bystander: subprocess.Popen[bytes], title: str
) -> None:
    name, arguments = ON_PROCESSES[title]
    assert cluster.error(name, *arguments(bystander.pid)) == "EPERM"


@pytest.mark.parametrize("target", [0, -1])
def test_no_group_of_processes_is_signalled(cluster: Confined, target: int) -> None:
    assert cluster.error("kill", target, 0) == "EPERM"


def test_it_may_signal_itself(cluster: Confined) -> None:
    assert cluster.error("kill", cluster.pid, 0) == ""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("execve", ("/bin/true", None, None)),
        ("fork", ()),
        ("clone", (signal.SIGCHLD, None, None, None, None)),
        ("unshare", (0x10000000,)),
        ("setns", (0, 0)),
        ("bpf", (0, None, 0)),
        ("perf_event_open", (None, 0, -1, -1, 0)),
        ("io_uring_setup", (1, " " * 128)),
        ("shmget", (0, 4096, 0o1600)),
    ],
)
def test_it_starts_no_program_and_leaves_no_namespace(
    cluster: Confined, name: str, arguments: tuple[Value, ...]
) -> None:
    if NUMBERS[name][COLUMN] is not None:
        assert cluster.error(name, *arguments) == "EPERM"


# The rest of what confines it


def test_it_says_itself_how_far_it_is_confined(cluster: Confined) -> None:
    assert cluster.health()["confinement"] == {"level": "full", "message": ""}


def test_the_kernel_agrees(cluster: Confined) -> None:
    lines = Path(f"/proc/{cluster.pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_its_limits_cannot_be_raised(cluster: Confined) -> None:
    wanted = as_text(struct.pack("=QQ", 2**40, 2**40))
    assert cluster.error("prlimit64", 0, resource.RLIMIT_DATA, wanted, None) == "EPERM"
    assert psutil.Process(cluster.pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)
    for kind in (psutil.RLIMIT_DATA, psutil.RLIMIT_NOFILE):
        soft, hard = psutil.Process(cluster.pid).rlimit(kind)
        assert 0 < soft == hard < 2**40


def test_all_its_threads_are_confined_and_still_move(cluster: Confined) -> None:
    client = cluster.client()
    make_collection(client, "c", index="HNSW")
    client.insert("c", rows(*range(50)))
    client.load_collection("c")
    assert nearest(client, "c", 7) == 7
    assert cluster.control("SetCores", cores=2)["cores"] == min(2, os.cpu_count() or 1)
    assert len(threads_cores(cluster.pid)) == 1
    tasks = Path(f"/proc/{cluster.pid}/task").iterdir()
    assert {"Seccomp:\t2" in (task / "status").read_text() for task in tasks} == {True}


def test_temporary_files_are_its_own_and_gone_after_a_restart(cluster: Confined) -> None:
    left = cluster.data_dir / ".tmp" / "left"
    left.write_text("left by an earlier process")
    cluster.restart()
    assert list((cluster.data_dir / ".tmp").iterdir()) == []


# Memory

MIB = 1024 * 1024


def test_a_call_that_needs_too_much_memory_ends_with_a_reason_and_the_cluster_goes_on(
    launch: Callable[..., Launched],
) -> None:
    launched = launch("--memory-bytes", str(256 * MIB))
    client = launched.client()
    make_collection(client, "c", index="FLAT")
    client.insert("c", rows(*range(10_000)))
    client.load_collection("c")
    queries = [[0.5] * 8] * 16_000  # their differences to all rows take 5 GB
    with pytest.raises(MilvusException, match="more memory than this cluster may use") as refused:
        client.search("c", queries, limit=1)
    assert refused.value.code == 3
    assert nearest(client, "c", 7) == 7
    client.insert("c", rows(10_001))
    assert 10_001 in ids(client, "c")


def test_half_of_the_machine_is_the_default(server: Launched) -> None:
    limit, _ = psutil.Process(server.pid).rlimit(psutil.RLIMIT_DATA)
    assert limit == machine_bytes() // 2 + UNTOUCHED_BYTES


def test_a_container_with_less_memory_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "memory.max", tmp_path / "missing"]
    monkeypatch.setattr(limits, "_CGROUP_LIMITS", files)
    for text, expected in (("max\n", None), ("1048576\n", MIB), (str(2**62), None)):
        files[0].write_text(text)
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        assert machine_bytes() == (expected or machine)


# Code


def test_bytecode_is_written_before_confinement(
    launch: Callable[..., Launched],
) -> None:
    """Otherwise every start of every cluster would compile the engine again."""
    cached = [
        Path(importlib.util.cache_from_source(found.origin))
        for name in ("clusters.drivers.embedded.server.server", "milvus_lite.db")
        if (found := importlib.util.find_spec(name)) is not None and found.origin is not None
    ]
    for path in cached:
        path.unlink(missing_ok=True)
    launch()
    assert [path.exists() for path in cached] == [True, True]
