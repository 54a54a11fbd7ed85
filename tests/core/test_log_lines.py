"""A record of the log is one line, and a traceback cannot look like another record."""

from __future__ import annotations

import logging
import sys

from django.conf import settings

from vbase_console.core.log_lines import LineFormatter

FORGED = "docs\n2026-01-01 ERROR root: forged\x1b[2K"


def formatted(message: str, *arguments: str, error: Exception | None = None) -> str:
    trace = None
    if error is not None:
        try:
            raise error
        except Exception:
            trace = sys.exc_info()
    record = logging.LogRecord("backups", logging.ERROR, "", 1, message, arguments, trace)
    return LineFormatter("{levelname} {name}: {message}", style="{").format(record)


def test_a_name_cannot_begin_a_line() -> None:
    line = formatted("%s: not copied", FORGED)
    assert line == r"ERROR backups: docs\n2026-01-01 ERROR root: forged\x1b[2K: not copied"


def test_letters_of_every_language_are_kept() -> None:
    assert formatted("größe 大きさ").endswith(": größe 大きさ")


def test_lines_of_a_traceback_are_indented_and_escaped() -> None:
    first, *trace = formatted("failed", error=ValueError(FORGED)).split("\n")
    assert first == "ERROR backups: failed"
    assert all(line.startswith("    ") for line in trace)
    assert "\x1b" not in "".join(trace)


def test_the_console_logs_in_this_format() -> None:
    plain = settings.LOGGING["formatters"]["plain"]
    assert plain["()"] == f"{LineFormatter.__module__}.{LineFormatter.__qualname__}"


def test_no_sweep_is_logged_at_the_ordinary_level() -> None:
    loggers = settings.LOGGING["loggers"]
    for name in ("celery.app.trace", "celery.worker.strategy", "celery.beat"):
        assert loggers[name]["level"] == "WARNING"
