"""Log records of an outage are dropped, and all others are kept."""

from __future__ import annotations

import logging
import os
import socket
import sys
from types import SimpleNamespace

import psycopg
import pytest
from amqp.exceptions import AccessRefused, RecoverableConnectionError
from billiard.exceptions import RestartFreqExceeded
from django.db import OperationalError

from vbase_console.core import outages
from vbase_console.core.outages import Outage, OutageFilter


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "database", Outage("database"))
    monkeypatch.setattr(outages, "broker", Outage("broker"))
    postgresql = SimpleNamespace(vendor="postgresql", Database=psycopg)
    monkeypatch.setattr(outages, "connection", postgresql)


def is_kept(error: BaseException, *, by: str, text: str = "failed") -> bool:
    """Return True if a record with the error's traceback is written."""
    try:
        raise error
    except type(error):
        record = logging.LogRecord(by, logging.ERROR, "", 0, text, (), sys.exc_info())
    return OutageFilter().filter(record)


def of_the_database(cause: psycopg.Error) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.OperationalError("connection refused"),
        psycopg.errors.AdminShutdown("terminating connection"),
        psycopg.errors.CannotConnectNow("the database system is starting up"),
        psycopg.InterfaceError("the connection is closed"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line(
    cause: psycopg.Error, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [is_kept(of_the_database(cause), by="django.request") for _ in range(3)]
    outages.database.end()
    assert kept == [False] * 3
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "database: lost",
        "database: back after 0 s",
    ]


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.DeadlockDetected("deadlock detected"),
        psycopg.errors.QueryCanceled("statement timeout"),
        psycopg.errors.DiskFull("no space left on device"),
    ],
)
def test_a_database_that_answers_with_an_error_keeps_its_traceback(cause: psycopg.Error) -> None:
    assert is_kept(of_the_database(cause), by="celery.app.trace")


@pytest.mark.parametrize(
    ("logger", "kept"),
    [("celery.beat", False), ("celery.worker.consumer", False), ("backups.archive_jobs", True)],
)
def test_a_socket_error_is_an_outage_of_the_broker_where_only_the_broker_is_called(
    logger: str, kept: bool
) -> None:
    assert is_kept(ConnectionResetError("reset by peer"), by=logger) is kept
    assert is_kept(socket.gaierror("name not known"), by=logger) is kept


def test_a_broker_that_refuses_a_worker_again_and_again_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    consumer = "celery.worker.consumer.consumer"
    for _ in range(3):
        assert not is_kept(AccessRefused("queue 'tasks' in exclusive use"), by=consumer)
        assert not is_kept(
            RestartFreqExceeded("5 in 1s"), by=consumer, text="Frequent restarts detected"
        )
    assert [record.message.split(",")[0] for record in caplog.records] == ["broker: lost"]


def test_an_unforeseen_error_of_beat_keeps_its_traceback() -> None:
    assert is_kept(ValueError("a bug"), by="celery.beat")


def test_a_message_of_a_closed_connection_is_no_outage_and_no_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = logging.LogRecord(
        "celery.worker.request",
        logging.CRITICAL,
        "",
        0,
        "Couldn't ack %r, reason:%r",
        (1, RecoverableConnectionError("connection already closed")),
        None,
    )
    assert not OutageFilter().filter(record)
    assert not outages.broker.is_on
    assert caplog.records == []


def test_a_process_forked_during_an_outage_has_observed_none() -> None:
    for outage in (outages.broker, outages.database):
        outage.begin(ConnectionResetError("reset by peer"))
    if not (child := os.fork()):
        os._exit(outages.broker.is_on or outages.database.is_on)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert outages.broker.is_on
