"""The filter on both machines, and the level of a process whose confinement is incomplete."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from clusters.drivers.sandbox import seccomp

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOWED, KILLED = 0x7FFF0000, 0x80000000
PID = 4242
CASES = {
    # call, arguments: error
    ("socket", (2, 1, 0)): 0,
    ("socket", (2, 1 | 0x80800, 6)): 0,
    ("socket", (10, 1, 0)): 0,
    ("socket", (2, 2, 0)): errno.EPERM,
    ("socket", (2, 1, 262)): errno.EPERM,
    ("socket", (1, 1, 0)): errno.EPERM,
    ("sendto", (3, 0, 5, 0, 0, 0)): 0,
    ("sendto", (3, 0, 5, 0, 1 << 32, 16)): errno.EPERM,
    ("sendto", (3, 0, 5, 0, 1, 16)): errno.EPERM,
    ("sendto", (3, 0, 5, 0x20000000, 0, 0)): errno.EPERM,
    ("sendmsg", (3, 0, 0x4000)): 0,
    ("sendmsg", (3, 0, 0x20000000)): errno.EPERM,
    ("sendmmsg", (3, 0, 1, 0x20000000)): errno.EPERM,
    ("kill", (PID, 9)): 0,
    ("kill", (PID + 1, 9)): errno.EPERM,
    ("kill", (2**64 - 1, 9)): errno.EPERM,
    ("tgkill", (PID, 1, 9)): 0,
    ("tgkill", (1, 1, 9)): errno.EPERM,
    ("rt_sigqueueinfo", (1, 9, 0)): errno.EPERM,
    ("rt_tgsigqueueinfo", (1, 1, 9, 0)): errno.EPERM,
    ("clone", (0x3D0F00, 0, 0, 0, 0)): 0,
    ("clone", (17, 0, 0, 0, 0)): errno.EPERM,
    ("clone", (0x3D0F00 | 0x04000000, 0, 0, 0, 0)): errno.EPERM,
    ("clone3", (0, 88)): errno.ENOSYS,
    ("prlimit64", (0, 2, 0, 1)): 0,
    ("prlimit64", (0, 2, 1 << 32, 0)): errno.EPERM,
    ("fcntl", (3, 2, 1)): 0,
    ("fcntl", (3, 8, 1)): errno.EPERM,
    ("fcntl", (3, 15, 1)): errno.EPERM,
    ("ioctl", (3, 0x5401, 0)): 0,
    ("ioctl", (3, 0x8901, 0)): errno.EPERM,
    ("ioctl", (3, 0x5412, 0)): errno.EPERM,
}
USED = {
    # Calls of a running cluster, from a trace.
    "x86_64": (*range(20), 20, 43, 45, 46, 49, 50, 82, 83, 86, 87, 202, 203, 232, 257, 263, 288),
    "aarch64": (*range(61, 68), 25, 35, 37, 38, 56, 57, 98, 113, 200, 201, 202, 207, 211, 222),
}  # fmt: skip


def verdict(
    machine: str, number: int, arguments: Sequence[int] = (), *, guards_truncation: bool = False
) -> int:
    """Result of the filter, computed as the kernel does."""
    words = (list(arguments) + [0] * 6)[:6]
    data = struct.pack("<iIQ6Q", number, ARCHITECTURE[machine], 0, *words)
    return run(list(seccomp._program(machine, PID, guards_truncation)), data)


def run(program: list[tuple[int, int, int, int]], data: bytes) -> int:
    accumulator, position = 0, 0
    tests = {
        0x15: lambda a, k: a == k,
        0x25: lambda a, k: a > k,
        0x35: lambda a, k: a >= k,
        0x45: lambda a, k: bool(a & k),
    }
    while True:
        code, if_true, if_false, k = program[position]
        position += 1
        if code == 0x06:
            return k
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif code == 0x54:
            accumulator &= k
        else:
            position += if_true if tests[code](accumulator, k) else if_false


def refusal(error: int) -> int:
    return 0x00050000 | error if error else ALLOWED


@pytest.mark.parametrize("machine", ARCHITECTURE)
@pytest.mark.parametrize(("call", "error"), CASES.items(), ids=str)
def test_the_filter_looks_at_arguments(
    machine: str, call: tuple[str, tuple[int, ...]], error: int
) -> None:
    name, arguments = call
    number = seccomp._JUDGED[name][list(ARCHITECTURE).index(machine)]
    assert number is not None
    assert verdict(machine, number, arguments) == refusal(error)


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_the_filter_refuses_every_listed_call(machine: str) -> None:
    numbers = [each[list(ARCHITECTURE).index(machine)] for each in seccomp.REFUSED.values()]
    verdicts = {verdict(machine, number) for number in numbers if number is not None}
    assert verdicts == {refusal(errno.EPERM)}


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_no_call_is_listed_twice(machine: str) -> None:
    lists = (seccomp.REFUSED, seccomp._JUDGED)
    column = list(ARCHITECTURE).index(machine)
    numbers = [each[column] for table in lists for each in table.values()]
    known = [number for number in numbers if number is not None]
    assert len(known) == len(set(known))


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_the_filter_allows_what_a_cluster_uses(machine: str) -> None:
    verdicts = {number: verdict(machine, number) for number in USED[machine]}
    assert verdicts == dict.fromkeys(USED[machine], ALLOWED)


@pytest.mark.parametrize("machine", ARCHITECTURE)
def test_a_call_of_a_newer_kernel_does_not_exist(machine: str) -> None:
    assert verdict(machine, 470) == refusal(errno.ENOSYS)


def test_calls_of_another_architecture_end_the_process() -> None:
    data = struct.pack("<iIQ6Q", 11, 0x40000003, 0, *[0] * 6)
    for machine in ARCHITECTURE:
        assert run(list(seccomp._program(machine, PID, False)), data) == KILLED


def test_the_x32_table_is_closed() -> None:
    assert verdict("x86_64", 0x40000000 + 59) == refusal(errno.ENOSYS)


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 257), ("aarch64", 56)])
@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (os.O_RDONLY, 0),
        (os.O_WRONLY | os.O_TRUNC, 0),
        (os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0),
        (os.O_RDONLY | os.O_TRUNC, errno.EPERM),
        (os.O_RDONLY | os.O_TRUNC | os.O_CLOEXEC, errno.EPERM),
    ],
)
def test_before_landlock_3_the_filter_keeps_readable_files_from_being_emptied(
    machine: str, number: int, flags: int, error: int
) -> None:
    assert verdict(machine, number, (0, 0, flags), guards_truncation=True) == refusal(error)


# The level of a process. Each runs in a child, because confinement is for ever.

CONFINE = """
import sys, threading
from pathlib import Path
from clusters.drivers.sandbox import kernel, landlock, process, seccomp

def fail(*arguments, **options):
    raise OSError(1, "refused by this test")

{change}
sandbox = process.Sandbox(read=process.interpreter_paths(), write=[Path(sys.argv[1])])
done = process.confine(sandbox)
print(done.level, *done.problems)
{afterwards}
"""


def confined(tmp_path: Path, change: str = "", afterwards: str = "") -> str:
    program = CONFINE.format(change=change, afterwards=afterwards)
    arguments = [sys.executable, "-c", program, str(tmp_path)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def test_a_whole_confinement_is_full(tmp_path: Path) -> None:
    assert confined(tmp_path) == "full"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "landlock.version = lambda: 0",
            "none The kernel offers Landlock 0, but version 2 is needed",
        ),
        (
            "landlock.version = lambda: 1",
            "none The kernel offers Landlock 1, but version 2 is needed",
        ),
        ("landlock.restrict = fail", "none Landlock failed: [Errno 1] refused by this test."),
        ("seccomp.install = fail", "files The seccomp filter failed: [Errno 1] refused"),
        (
            "kernel.machine = lambda: 'riscv64'",
            "files The seccomp filter failed: [Errno 38] no sys",
        ),
        ("kernel.forbid_new_privileges = fail", "none Landlock failed: [Errno 1] refused by this"),
        ("landlock.restrict = lambda *a, **b: None", "none Files are not confined."),
        ("seccomp.install = lambda *a, **b: None", "files Connections, signals and programs are"),
        (
            "threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "none Landlock confines only one of the 2 threads that were already running. Files are",
        ),
    ],
)
def test_a_step_that_fails_lowers_the_level_and_is_named(
    tmp_path: Path, change: str, said: str
) -> None:
    assert confined(tmp_path, change).startswith(said)


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_the_rights_of_an_older_kernel_confine_files_as_well(tmp_path: Path, version: int) -> None:
    """This kernel understands the smaller rule sets of its predecessors."""
    outside = tmp_path.parent / f"{tmp_path.name}.outside"
    outside.write_text("canary")
    afterwards = f"""
def refused(attempt):
    try:
        attempt()
    except OSError:
        return True
    return False

outside, inside = Path({str(outside)!r}), Path(sys.argv[1]) / "inside"
inside.write_text("own")
import os
print([
    refused(outside.read_text),
    refused(outside.unlink),
    refused(lambda: os.open(outside, os.O_RDONLY | os.O_TRUNC)),
    refused(lambda: os.truncate(outside, 0)),
    refused(lambda: os.link(outside, f"{{inside}}.link")),
    refused(lambda: os.rename(inside, outside)),
])
(Path(sys.argv[1]) / "directory").mkdir()
os.link(inside, Path(sys.argv[1]) / "directory" / "linked")
"""
    change = f"landlock.version = lambda: {version}"
    said = confined(tmp_path, change, afterwards).splitlines()
    assert said == ["full", str([True] * 6)]
    assert outside.read_text() == "canary"


def test_a_process_without_ports_of_its_own_listens_on_none(tmp_path: Path) -> None:
    """Without being bound, a socket would get one of the kernel's choice."""
    afterwards = """
import socket
try:
    socket.socket().listen()
except PermissionError:
    print("refused")
"""
    assert confined(tmp_path, afterwards=afterwards).splitlines() == ["full", "refused"]


def test_a_library_directory_above_the_data_is_not_opened(tmp_path: Path) -> None:
    """Otherwise an environment beside the data of all clusters would open these for reading."""
    data, sibling = tmp_path / "vc-1", tmp_path / "vc-2"
    data.mkdir()
    sibling.write_text("secret")
    change = (
        "found = process.interpreter_paths()\n"
        f"process.interpreter_paths = lambda: [*found, Path({str(tmp_path)!r})]"
    )
    afterwards = f"""
try:
    Path({str(sibling)!r}).read_text()
except PermissionError:
    print("refused")
"""
    assert confined(data, change, afterwards).splitlines() == ["full", "refused"]
