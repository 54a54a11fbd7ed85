"""Outages of the database and the broker, as observed by this process.

An outage is logged with one line at its start and one at its end. A log filter drops the errors
that libraries and the console log in between.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from celery import current_app
from django.db import DatabaseError, InterfaceError, connection
from kombu.exceptions import OperationalError as KombuOperationalError

logger = logging.getLogger(__name__)

LOST_SQL_STATES = ("08", "57P01", "57P02", "57P03")
"""Connection exceptions, and a server that is stopping, has crashed or is starting."""
POOL_RETRIES = ("discarding closed connection", "reconnection attempt")
BROKER_LOGGERS = ("celery.worker", "celery.beat", "kombu", "amqp", "vbase_console.tasks.broker")
"""Loggers of code that uses the broker. A socket error in their records means that it is lost."""
WHILE_RECONNECTING = ("Connected to", "Frequent restarts detected")
"""Records of a worker that a broker refuses, several times a second."""
NOT_ACKNOWLEDGED = ("Couldn't ack", "Couldn't reject")
"""Records of Celery about a message whose connection is closed. The worker may have another one
already, and the broker delivers the message again.
"""


class Outage:
    """State of a required component: reachable until an error shows otherwise."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.forget()

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def begin(self, error: BaseException) -> None:
        with self._lock:
            if self._since is not None:
                return
            self._since = time.monotonic()
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        logger.warning("%s: lost, errors are not logged until it is back (%s)", self.part, reason)

    def end(self) -> None:
        """End the outage. Call this after every successful access."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            logger.warning("%s: back after %.0f s", self.part, time.monotonic() - since)


database = Outage("database")
broker = Outage("broker")


def forget_in_child() -> None:
    """Forget the outages that the parent of this process has observed. Without this, a process that
    a worker forks during an outage would log its end, however late, and no start of the next one.
    """
    database.forget()
    broker.forget()


os.register_at_fork(after_in_child=forget_in_child)


def on_database_connected(**event: Any) -> None:
    database.end()


def database_is_lost(error: BaseException) -> bool:
    """Return whether the error, or one that caused it, means that PostgreSQL cannot be reached. A
    lock, a deadlock or a full disk is no outage, and SQLite has none.
    """
    if connection.vendor != "postgresql":
        return False
    driver: Any = connection.Database  # type: ignore[attr-defined]
    return any(
        isinstance(cause, (driver.OperationalError, driver.InterfaceError))
        and (cause.sqlstate is None or cause.sqlstate.startswith(LOST_SQL_STATES))
        for cause in _causes(error)
    )


def broker_is_lost(error: BaseException) -> bool:
    """Return whether an error of code that talks to the broker means that it cannot be reached, or
    that it refuses what the console needs.
    """
    client = current_app.connection_for_write()
    lost = (*client.recoverable_connection_errors, *client.channel_errors)
    return any(isinstance(cause, (KombuOperationalError, *lost)) for cause in _causes(error))


def connection_was_lost(error: BaseException) -> bool:
    """Return whether the error tells that an open connection has ended. The next connection may
    succeed at once.
    """
    lost = (ConnectionResetError, BrokenPipeError, RecoverableConnectionError)
    return any(isinstance(cause, lost) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


class OutageFilter(logging.Filter):
    """Drop the records of an outage; `Outage` logs its start and its end."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == logger.name:
            return True
        if record.name == "django.request" and getattr(record, "status_code", 0) == 503:
            return False  # one line per request; the view has logged the reason
        text = str(record.msg)
        if record.name == "psycopg.pool" and text.startswith(POOL_RETRIES):
            return False
        if broker.is_on and text.startswith(WHILE_RECONNECTING):
            return False
        error = _error_of(record)
        outage = _outage_of(error, record.name) if error is not None else None
        if error is None or outage is None:
            return True
        if not text.startswith(NOT_ACKNOWLEDGED):
            outage.begin(error)
        return False


def _outage_of(error: BaseException, logger_name: str) -> Outage | None:
    talks_to_broker = logger_name.startswith(BROKER_LOGGERS)
    if isinstance(error, (DatabaseError, InterfaceError)) or not talks_to_broker:
        return database if database_is_lost(error) else None
    return broker if broker_is_lost(error) else None


def _error_of(record: logging.LogRecord) -> BaseException | None:
    if record.exc_info and record.exc_info[1] is not None:
        return record.exc_info[1]
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((value for value in arguments if isinstance(value, BaseException)), None)
