"""System calls without a wrapper in Python's standard library."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITIES_OF_64_BITS = 0x20080522
CAP_DAC_OVERRIDE = 1 << 1
_libc = ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """Return the name of this process's system call table, or an empty text if it is unknown.

    A 32-bit interpreter on a 64-bit kernel uses another table than `platform.machine` returns.
    """
    is_64_bit = struct.calcsize("P") == 8
    return {"arm64": "aarch64"}.get(platform.machine(), platform.machine()) if is_64_bit else ""


def call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes.Structure) -> int:
    """Make a system call. Raises OSError."""
    passed = [
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.byref(argument)
        for argument in arguments
    ]
    answer: int = _libc.syscall(ctypes.c_long(number), *passed)
    _checked(answer)
    return answer


def forbid_new_privileges() -> None:
    """Set NoNewPrivs, which Landlock and seccomp require. Raises OSError."""
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero))


def keep_capabilities(kept: int) -> None:
    """Drop all other capabilities irrevocably. Only root has some. Raises OSError."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES_OF_64_BITS, 0), 8)
    sets = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, sets))
    halves = struct.unpack("=6I", sets.raw)
    permitted = (halves[1] | halves[4] << 32) & kept
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    sets.raw = struct.pack("=6I", low, low, 0, high, high, 0)
    _checked(_libc.capset(header, sets))


def _checked(answer: int) -> None:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
