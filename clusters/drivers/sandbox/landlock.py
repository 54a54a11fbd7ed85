"""Landlock: restriction of the files that a process can access and of the ports to listen on.

All rights that the kernel supports are used. docs/operations.md lists the rights of each version.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from clusters.drivers.sandbox import kernel

MIN_VERSION = 2
"""Version 1 refuses all links and renames between directories, which snapshots need."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2


class Access(enum.IntFlag):
    """Rights on files, as the kernel numbers them."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Access.READ_FILE | Access.READ_DIR
WRITE = (
    Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.MAKE_REG
    | Access.MAKE_DIR
    | Access.REMOVE_FILE
    | Access.REMOVE_DIR
    | Access.REFER
)
"""Regular files and directories only, because a symbolic link could refer to other files."""
_OF_A_FILE = (
    Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
)
_ADDED = {2: Access.REFER, 3: Access.TRUNCATE, 5: Access.IOCTL_DEV}
_NET_SINCE, _BIND_TCP, _CONNECT_TCP = 4, 1 << 0, 1 << 1
_SCOPE_SINCE, _SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 6, 1 << 0, 1 << 1


def version() -> int:
    """Return the kernel's Landlock version, or 0 if Landlock is missing or disabled."""
    try:
        return kernel.call(_CREATE_RULESET, 0, 0, _ASK_VERSION)
    except OSError:
        return 0


def restrict(
    read: Iterable[Path], write: Iterable[Path], *, ports: Iterable[int], version: int
) -> None:
    """Restrict the calling thread, and all threads and processes that it starts, irrevocably.

    Missing paths are skipped. Raises OSError; then nothing is restricted.
    """
    known = _known(version)
    ruleset = kernel.call(_CREATE_RULESET, *_ruleset_attribute(known, version), 0)
    try:
        for path in read:
            _allow(ruleset, path, READ & known)
        for path in write:
            _allow(ruleset, path, (READ | WRITE) & known)
        for port in ports if version >= _NET_SINCE else ():
            rule = ctypes.create_string_buffer(struct.pack("=QQ", _BIND_TCP, port), 16)
            kernel.call(_ADD_RULE, ruleset, _RULE_NET_PORT, rule, 0)
        kernel.call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _known(version: int) -> Access:
    known = Access((Access.MAKE_SYM << 1) - 1)
    for since, added in _ADDED.items():
        if version >= since:
            known |= added
    return known


def _ruleset_attribute(known: Access, version: int) -> tuple[ctypes.Array[ctypes.c_char], int]:
    fields = [int(known)]
    if version >= _NET_SINCE:
        fields.append(_BIND_TCP | _CONNECT_TCP)
    if version >= _SCOPE_SINCE:
        fields.append(_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    packed = struct.pack(f"={len(fields)}Q", *fields)
    return ctypes.create_string_buffer(packed, len(packed)), len(packed)


def _allow(ruleset: int, path: Path, access: Access) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            access &= _OF_A_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, beneath), 12)
        kernel.call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(beneath)
