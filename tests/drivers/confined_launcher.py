"""The product's launcher with one more control method, which makes a system call by its number.

`python -m tests.drivers.confined_launcher` takes the arguments of the launcher.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from clusters.drivers.embedded.server import control, launcher

Value = int | str | None


def _attempt(number: int, arguments: list[Value]) -> dict[str, Any]:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(ctypes.c_long(number), *map(_passed, arguments))
    error = ctypes.get_errno() if answer < 0 else 0
    return {"answer": answer, "error": errno.errorcode[error] if error else ""}


def _passed(value: Value) -> Any:
    if isinstance(value, str):
        return ctypes.create_string_buffer(value.encode("latin-1"))
    return ctypes.c_void_p(None) if value is None else ctypes.c_long(value)


def _with_attempts(
    handlers: Callable[[Mapping[str, control.Method]], Any],
) -> Callable[[Mapping[str, control.Method]], Any]:
    def more(methods: Mapping[str, control.Method]) -> Any:
        return handlers({**methods, "Attempt": _attempt})

    return more


def main() -> int:
    control.control_handlers = _with_attempts(control.control_handlers)
    return launcher.main(sys.argv[1:])


if __name__ == "__main__":
    code = main()
    os._exit(code)
