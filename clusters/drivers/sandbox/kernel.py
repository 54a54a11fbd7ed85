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
    """Name of the system call table of this process; empty where none is known.

    A 32-bit interpreter on a 64-bit kernel uses another table than `platform.machine` says.
    """
    is_64_bit = struct.calcsize("P") == 8
    return {"arm64": "aarch64"}.get(platform.machine(), platform.machine()) if is_64_bit else ""


def call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes.Structure) -> int:
    """Call the kernel. Raises OSError."""
    passed = [
        ctypes.c_long(each) if isinstance(each, int) else ctypes.byref(each) for each in arguments
    ]
    answer: int = _libc.syscall(ctypes.c_long(number), *passed)
    _checked(answer)
    return answer


def forbid_new_privileges() -> None:
    """Set NoNewPrivs, which both Landlock and seccomp require. Raises OSError."""
    nothing = ctypes.c_ulong(0)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), nothing, nothing, nothing))


def keep_capabilities(kept: int) -> None:
    """Give up every other capability, for ever. Only root has some. Raises OSError."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES_OF_64_BITS, 0), 8)
    held = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, held))
    halves = struct.unpack("=6I", held.raw)
    permitted = (halves[1] | halves[4] << 32) & kept
    low, high = permitted & 0xFFFFFFFF, permitted >> 32
    held.raw = struct.pack("=6I", low, low, 0, high, high, 0)
    _checked(_libc.capset(header, held))


def _checked(answer: int) -> None:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
