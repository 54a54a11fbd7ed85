"""Seccomp filter that refuses system calls which a server of files and one port never needs.

Refused calls fail with EPERM, so that libraries continue without them. The filter lists refused
calls, because the interpreter, gRPC, Arrow and the C library choose their own calls, and a list of
allowed calls would break with their next release. Calls newer than this list fail with ENOSYS.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator, Sequence

from clusters.drivers.sandbox import kernel

_SET_MODE_FILTER, _ACTION_AVAILABLE = 1, 2
_ALL_THREADS, _KEEP_SPECULATION = 1 << 0, 1 << 2
"""Older kernels otherwise enable slow mitigations of speculative execution."""

_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _AND, _RETURN = (
    *(0x20, 0x15, 0x25, 0x35, 0x45, 0x54),
    0x06,
)
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000

_NEWEST = 469
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_LISTEN = {"x86_64": 50, "aarch64": 201}

# Numbers on x86_64 and aarch64; None if the call does not exist.
_Numbers = dict[str, tuple[int, int | None]]

_OTHER_PROCESSES: _Numbers = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setrlimit": (160, 164),
}
_NEW_PROGRAMS: _Numbers = {
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "personality": (135, 92),
}
_CONNECTIONS: _Numbers = {
    "connect": (42, 203),
    "socketpair": (53, 199),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
_ATTRIBUTES_OF_FILES: _Numbers = {
    # Landlock does not restrict these calls, which can damage readable files.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
}
_THE_MACHINE: _Numbers = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
REFUSED: _Numbers = {
    **_OTHER_PROCESSES,
    **_NEW_PROGRAMS,
    **_CONNECTIONS,
    **_ATTRIBUTES_OF_FILES,
    **_THE_MACHINE,
}
_JUDGED: _Numbers = {
    "socket": (41, 198),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "clone": (56, 220),
    "clone3": (435, 435),
    "prlimit64": (302, 261),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
}
_TRUNCATING: _Numbers = {
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "truncate": (76, 45),
    "creat": (85, None),
}

_FAST_OPEN = 0x20000000
"""MSG_FASTOPEN opens a connection without a call of `connect`."""
_THREAD, _NEW_NAMESPACES = 0x00010000, 0x7E020080
_SIGNAL_OWNERS = (8, 10, 15, 1024)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX and F_SETLEASE, which let the kernel signal a process."""
_STRANGE_REQUESTS = (0x8901, 0x8902, 0x5412, 0x541C, 0x40086602, 0x401C5820)
"""FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR."""
_INET, _INET6, _STREAM, _TYPE_BITS, _TCP = 2, 10, 1, 0xF, 6
_TRUNCATE, _TRUNCATE_OR_WRITE = 0o1000, 0o1003

_Instruction = tuple[int, int, int, int]


class UnsupportedMachine(OSError):
    """The system call numbers of this machine are unknown."""


def is_available() -> bool:
    machine = kernel.machine()
    if machine not in _ARCHITECTURES:
        return False
    action = ctypes.create_string_buffer(struct.pack("=I", _ERRNO), 4)
    try:
        kernel.call(_SECCOMP[machine], _ACTION_AVAILABLE, 0, action)
    except OSError:
        return False
    return True


def install(pid: int, *, guards_truncation: bool) -> None:
    """Filter all calls of all threads of this process, whose id is `pid`, irrevocably.

    With `guards_truncation` the filter refuses the truncation of read-only files, which Landlock
    does not before version 3. Raises OSError.
    """
    machine = _known_machine()
    _install(machine, list(_program(machine, pid, guards_truncation)))


def forbid_listening() -> None:
    """Add a filter that refuses `listen` to all threads of this process, irrevocably.

    Raises OSError.
    """
    machine = _known_machine()
    number = _LISTEN[machine]
    _install(machine, [_load(_NUMBER), *_if(_EQUAL, number, _refusal()), _answer(_ALLOW)])


def _known_machine() -> str:
    machine = kernel.machine()
    if machine not in _ARCHITECTURES:
        raise UnsupportedMachine(errno.ENOSYS, f"no system call numbers are known for {machine!r}")
    return machine


def _install(machine: str, instructions: Sequence[_Instruction]) -> None:
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    code = ctypes.create_string_buffer(packed, len(packed))
    program = _Program(len(instructions), ctypes.cast(code, ctypes.c_void_p))
    flags = _ALL_THREADS | _KEEP_SPECULATION
    kernel.call(_SECCOMP[machine], _SET_MODE_FILTER, flags, program)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def _program(machine: str, pid: int, guards_truncation: bool) -> Iterator[_Instruction]:
    """Put the rules on arguments first, because the kernel caches the result of all other calls."""
    yield _load(_ARCHITECTURE)
    yield _EQUAL, 1, 0, _ARCHITECTURES[machine]
    yield _answer(_KILL_PROCESS)
    yield _load(_NUMBER)
    if machine == "x86_64":
        yield from _if(_AT_LEAST, _X32, _refusal(errno.ENOSYS))
    column = list(_ARCHITECTURES).index(machine)
    for number, rule in _rules(pid, guards_truncation, column):
        yield from _if(_EQUAL, number, rule)
    for numbers in REFUSED.values():
        if (refused := numbers[column]) is not None:
            yield from _if(_EQUAL, refused, _refusal())
    yield from _if(_GREATER, _NEWEST, _refusal(errno.ENOSYS))
    yield _answer(_ALLOW)


def _rules(
    pid: int, guards_truncation: bool, column: int
) -> Iterator[tuple[int, list[_Instruction]]]:
    rules = {
        "socket": _only_tcp(),
        "sendto": [
            *_no_bits(3, _FAST_OPEN),
            *_only_if(4, 0, high=False),
            *_only_if(4, 0, high=True),
        ],
        "sendmsg": _no_bits(2, _FAST_OPEN),
        "sendmmsg": _no_bits(3, _FAST_OPEN),
        "kill": _only_if(0, pid),
        "tgkill": _only_if(0, pid),
        "rt_sigqueueinfo": _only_if(0, pid),
        "rt_tgsigqueueinfo": _only_if(0, pid),
        "clone": [*_no_bits(0, _NEW_NAMESPACES), *_only_threads()],
        # A filter cannot read its flags, which are in memory. Libraries fall back on clone.
        "clone3": _refusal(errno.ENOSYS),
        "prlimit64": [*_only_if(2, 0, high=False), *_only_if(2, 0, high=True)],
        "fcntl": _none_of(1, _SIGNAL_OWNERS),
        "ioctl": _none_of(1, _STRANGE_REQUESTS),
    }
    for name, rule in rules.items():
        if (number := _JUDGED[name][column]) is not None:
            yield number, [*rule, _answer(_ALLOW)]
    if guards_truncation:
        yield from _against_truncation(column)


def _against_truncation(column: int) -> Iterator[tuple[int, list[_Instruction]]]:
    rules = {
        "open": _not_exactly(1, _TRUNCATE_OR_WRITE, _TRUNCATE),
        "openat": _not_exactly(2, _TRUNCATE_OR_WRITE, _TRUNCATE),
        "openat2": _refusal(errno.ENOSYS),
        "truncate": _refusal(),
    }
    for name, rule in rules.items():
        if (number := _TRUNCATING[name][column]) is not None:
            yield number, [*rule, _answer(_ALLOW)]


# Each piece continues if its condition is true, and refuses otherwise.


def _only_if(argument: int, value: int, *, high: bool = False) -> list[_Instruction]:
    return [_load_argument(argument, high=high), (_EQUAL, 1, 0, value), *_refusal()]


def _no_bits(argument: int, bits: int) -> list[_Instruction]:
    return [_load_argument(argument), (_ANY_BIT, 0, 1, bits), *_refusal()]


def _only_threads() -> list[_Instruction]:
    return [_load_argument(0), (_ANY_BIT, 1, 0, _THREAD), *_refusal()]


def _none_of(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    refusals = [part for value in values for part in _if(_EQUAL, value, _refusal())]
    return [_load_argument(argument), *refusals]


def _not_exactly(argument: int, mask: int, value: int) -> list[_Instruction]:
    return [
        _load_argument(argument),
        (_AND, 0, 0, mask),
        *_if(_EQUAL, value, _refusal()),
    ]


def _only_tcp() -> list[_Instruction]:
    return [
        _load_argument(0),
        (_EQUAL, 2, 0, _INET),
        (_EQUAL, 1, 0, _INET6),
        *_refusal(),
        _load_argument(1),
        (_AND, 0, 0, _TYPE_BITS),
        (_EQUAL, 1, 0, _STREAM),
        *_refusal(),
        _load_argument(2),
        (_EQUAL, 2, 0, 0),
        (_EQUAL, 1, 0, _TCP),
        *_refusal(),
    ]


def _if(test: int, value: int, then: list[_Instruction]) -> list[_Instruction]:
    """`then` must end with an answer, because it may load another value."""
    return [(test, 0, len(then), value), *then]


def _refusal(error: int = errno.EPERM) -> list[_Instruction]:
    return [_answer(_ERRNO | error)]


def _answer(action: int) -> _Instruction:
    return _RETURN, 0, 0, action


def _load(offset: int) -> _Instruction:
    return _LOAD, 0, 0, offset


def _load_argument(index: int, *, high: bool = False) -> _Instruction:
    """Load the low or the high half of an argument, in the byte order of both machines."""
    return _load(_ARGUMENTS + 8 * index + (4 if high else 0))
