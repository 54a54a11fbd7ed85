"""A confined cluster that makes system calls for a test."""

from __future__ import annotations

import platform
import struct

from tests.drivers.launched import Launched

COLUMN = ("x86_64", "aarch64").index(platform.machine())
NUMBERS: dict[str, tuple[int, int | None]] = {
    "bind": (49, 200),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "clone": (56, 220),
    "connect": (42, 203),
    "creat": (85, None),
    "execve": (59, 221),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchownat": (260, 54),
    "fcntl": (72, 25),
    "fork": (57, None),
    "fsetxattr": (190, 7),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "kill": (62, 129),
    "link": (86, None),
    "linkat": (265, 37),
    "listen": (50, 201),
    "mkdirat": (258, 34),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "name_to_handle_at": (303, 264),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_open": (434, 434),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "rmdir": (84, None),
    "rt_sigqueueinfo": (129, 138),
    "sendmmsg": (307, 269),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "setns": (308, 268),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "symlinkat": (266, 36),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "unshare": (272, 97),
    "utimensat": (280, 88),
}
HERE = -100
"""AT_FDCWD."""

Value = int | str | None


class Confined(Launched):
    """Its launcher has a control method that makes a system call."""

    module = "tests.drivers.confined_launcher"

    def attempt(self, name: str, *arguments: Value) -> tuple[int, str]:
        """Answer of the call, and the name of its error or an empty text."""
        number = NUMBERS[name][COLUMN]
        said = self.control("Attempt", number=number, arguments=list(arguments))
        return said["answer"], said["error"]

    def error(self, name: str, *arguments: Value) -> str:
        return self.attempt(name, *arguments)[1]


def as_text(data: bytes) -> str:
    """A structure in memory, sent as one character per byte."""
    return data.decode("latin-1")


def internet_address(port: int) -> str:
    return as_text(struct.pack("=H", 2) + struct.pack("!H4B8x", port, 127, 0, 0, 1))


def unix_address(path: str) -> str:
    return as_text(struct.pack("=H", 1) + path.encode() + b"\0")
