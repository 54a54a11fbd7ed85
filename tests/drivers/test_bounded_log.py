"""The log of a running cluster is bounded, and so is a record of it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from pymilvus import MilvusClient, MilvusException

from clusters.drivers.base import ClusterSpec
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory
from clusters.drivers.embedded.server.bounded_log import (
    KEPT_BYTES,
    MAX_FILE_BYTES,
    MAX_RECORD_CHARACTERS,
    BoundedFormatter,
    BoundedLogHandler,
)
from tests.drivers.launched import make_collection


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("engine", logging.ERROR, "", 1, message, (), None)


def test_a_long_record_keeps_its_beginning_and_its_end() -> None:
    text = BoundedFormatter().format(record("begin" + "x" * 1_000_000 + "end"))
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "characters omitted" in text
    assert len(text) < MAX_RECORD_CHARACTERS + 100


def test_a_name_in_a_record_cannot_begin_a_line() -> None:
    assert BoundedFormatter().format(record("docs\nERROR forged")) == r"docs\nERROR forged"


def test_a_short_record_is_complete() -> None:
    assert BoundedFormatter().format(record("x" * 1_000)) == "x" * 1_000


def test_a_full_log_keeps_its_newest_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    with path.open("a+") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        handler = BoundedLogHandler(max_bytes=2 * KEPT_BYTES)
        while path.stat().st_size <= 2 * KEPT_BYTES - 5_000:
            handler.emit(record("x" * 4_000))
        handler.emit(record("y" * 6_000))
        handler.emit(record("the last"))
    lines = path.read_text().splitlines()
    assert lines[0] == "[earlier records were removed]"
    assert all("x" * 4_000 in line for line in lines[1:-2])
    assert "y" * 6_000 in lines[-2]
    assert lines[-1].endswith("the last")
    assert KEPT_BYTES - 5_000 < path.stat().st_size < KEPT_BYTES + 1_000


def test_a_stream_that_is_no_file_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader) as lines:
        monkeypatch.setattr("sys.stderr", stream)
        BoundedLogHandler(max_bytes=1).emit(record("text"))
        assert lines.readline().endswith("text\n")


def test_a_confined_cluster_bounds_its_own_log(tmp_path: Path) -> None:
    driver = EmbeddedDriver(tmp_path, control_key=os.urandom(32))
    spec = ClusterSpec(
        cluster_id="vc-1", version=driver.capabilities.versions[0], compute_units=1, token="token"
    )
    directory = ClusterDirectory(tmp_path, "vc-1")
    *_, _ = driver.create(spec, lambda: None)
    try:
        access = driver.console_access("vc-1")
        assert access is not None
        client = MilvusClient(f"http://127.0.0.1:{access.endpoint.port}", token="token")
        make_collection(client, "rows")
        before = directory.log.stat().st_size
        with pytest.raises(MilvusException):
            client.query("rows", filter=f"{'(' * 10_000}id > 0")
        assert 1_000 < directory.log.stat().st_size - before < 2 * MAX_RECORD_CHARACTERS
        with directory.log.open("ab") as log:
            log.truncate(MAX_FILE_BYTES + 1)
        with pytest.raises(MilvusException):
            client.query("rows", filter=f"{'(' * 10_000}id > 0")
        assert directory.log.stat().st_size < KEPT_BYTES + 2 * MAX_RECORD_CHARACTERS
        assert "RecursionError" in directory.log_end(200)
        client.close()
    finally:
        for _ in driver.delete("vc-1", lambda: None):
            pass
