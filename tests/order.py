"""Order of the tests if several processes share the work, and tests that stay together."""

from __future__ import annotations

import subprocess
from contextlib import suppress

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import live
from tests.live import SHARED

WITH_THE_SHARED_CONSOLE = (
    "tests/journeys/",
    "tests/rpc/test_console.py",
    "tests/supervisor/test_first_start.py",
    "tests/supervisor/test_keeping_alive.py",
    "tests/supervisor/test_refusals.py",
)
"""In one process, so that one console is started and not one for each process."""
WITH_THE_S3_SERVER = (
    "tests/s3/",
    "tests/contracts/test_backup_store.py",
    "tests/backups/test_on_s3.py",
    "tests/backups/test_bring_back.py",
)
"""In one process, so that one S3 server is started and not one for each process."""
WITH_THE_PRESSED_CONSOLE = ("tests/pressure/",)
"""In one process, so that one console is started and not one for each file."""
WITH_THE_DISTRIBUTED_CONSOLE = (
    "tests/distributed/test_two_of_everything.py",
    "tests/distributed/test_rabbitmq.py",
)
"""In one process and in this order: the last of them ends the programs."""
LONG = (
    "tests/crash/test_beats.py",
    "tests/api/test_schemathesis.py",
    "tests/full_milvus/test_attached.py",
    "tests/crash/backups/test_killed.py",
    "tests/full_milvus/test_access_control.py",
    *WITH_THE_DISTRIBUTED_CONSOLE,
    "tests/crash/backups/test_paused.py",
    "tests/full_milvus/test_jobs.py",
    "tests/supervisor/test_stopping.py",
    "tests/full_milvus/test_wire.py",
    "tests/browser/test_journey.py",
    "tests/policies/test_cron.py",
    "tests/browser/test_backups.py",
    "tests/crash/test_killed_workers.py",
    "tests/crash/test_broker_gone.py",
    "tests/architecture/test_every_url.py",
    "tests/supervisor/test_messages.py",
    "tests/policies/test_changes_of_clock.py",
    "tests/backups/test_interruption.py",
    "tests/distributed/test_outages.py",
    "tests/contracts/test_cluster_driver.py",
    "tests/distributed/test_operations_page.py",
    *WITH_THE_PRESSED_CONSOLE,
    "tests/drivers/test_embedded_process.py",
    "tests/sdk/test_sdk_methods.py",
    "tests/upgrades/",
    "tests/supervisor/",
)
"""Begun last, one of them would keep one process busy for a minute while the others have nothing
left to do. Those that wait and those that compute stand by turns, so that they are begun together.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (not _shares(item.nodeid), _place(item.nodeid)))


def _place(nodeid: str) -> int:
    places = (place for place, file in enumerate(LONG) if nodeid.startswith(file))
    return next(places, len(LONG))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop a console that no later test uses, because it occupies a tenth of a core."""
    shared = item.config.stash.get(SHARED, None)
    if shared is not None and not (nextitem is not None and _may_ask_for_it(nextitem)):
        with suppress(subprocess.TimeoutExpired):
            shared.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In another order than ours one may be asked for again."""
    shared = item.config.stash.get(SHARED, None)
    if shared is not None and _asks_for_a_console(item) and not shared.is_running():
        shared.start()


def _asks_for_a_console(item: pytest.Item) -> bool:
    """A file may have a fixture of its own under that name."""
    assert isinstance(item, pytest.Function)
    consoles = item._fixtureinfo.name2fixturedefs.get("console", ())
    return bool(consoles) and consoles[-1].func.__module__ == live.__name__


def _may_ask_for_it(item: pytest.Item) -> bool:
    return _shares(item.nodeid) or _asks_for_a_console(item)


def _shares(nodeid: str) -> bool:
    return nodeid.startswith(WITH_THE_SHARED_CONSOLE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """In the place of xdist's own `loadfile`."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


class ByFile(LoadScopeScheduling):
    """The tests of a file share what they started."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(WITH_THE_S3_SERVER):
            return "the S3 server"
        if nodeid.startswith(WITH_THE_DISTRIBUTED_CONSOLE):
            return "the distributed console"
        if nodeid.startswith(WITH_THE_PRESSED_CONSOLE):
            return "the pressed console"
        return "the shared console" if _shares(nodeid) else nodeid.partition("::")[0]
