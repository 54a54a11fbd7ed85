"""Which files of tests come first where several processes share the work."""

from __future__ import annotations

import pytest

LONG = (
    "tests/api/test_schemathesis.py",
    "tests/supervisor/test_stopping.py",
    "tests/crash/test_beats.py",
    "tests/distributed/test_rabbitmq.py",
    "tests/crash/backups/test_killed.py",
    "tests/crash/backups/test_paused.py",
    "tests/crash/test_killed_workers.py",
)
"""Begun last, one of them would keep one process busy for a minute while the others have nothing
left to do.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))
