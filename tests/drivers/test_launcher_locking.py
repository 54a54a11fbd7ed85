"""The race that loses rows, made to happen: red without the locks every time, not now and then."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
from milvus_lite.engine import collection as engine_collection
from pymilvus import MilvusClient

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.server import MilvusServer
from tests.drivers.conftest import Serve
from tests.drivers.launched import make_collection, row

COLLECTION = "c"


def rows_after_kill(server: MilvusServer, copy: Path) -> int:
    """Return the rows that another process would find if this one were killed now."""
    shutil.copytree(server._engine.data_dir, copy)
    engine = Engine(copy)
    found = engine.get_collection(COLLECTION).num_entities
    engine.close()
    return int(found)


@contextlib.contextmanager
def in_the_middle_of_an_insert(server: MilvusServer, client: MilvusClient) -> Iterator[None]:
    """The second row stands in the log and not yet in memory."""
    make_collection(client, COLLECTION)
    client.insert(COLLECTION, row(1))
    log = server._engine.get_collection(COLLECTION)._wal
    write, reached, done = log.write_insert, threading.Event(), threading.Event()

    def write_and_linger(batch: Any) -> None:
        log.write_insert = write
        write(batch)
        reached.set()
        done.wait(2)  # with the locks, no other call comes before this insert ends

    log.write_insert = write_and_linger
    with futures.ThreadPoolExecutor(1) as threads:
        inserted = threads.submit(client.insert, COLLECTION, row(2))
        assert reached.wait(20)
        yield
        done.set()
        inserted.result()


@pytest.mark.parametrize(("guarded", "kept"), [(True, 2), (False, 1)])
def test_an_acknowledged_row_outlives_a_snapshot_and_a_kill_only_with_the_locks(
    serve: Serve, tmp_path: Path, guarded: bool, kept: int
) -> None:
    server, client = serve(guarded)
    with in_the_middle_of_an_insert(server, client):
        server._console_snapshots.create("s", database="default")
    assert rows_after_kill(server, tmp_path / "copy") == kept


# Without them the engine then cannot even close: the lost row is older than what was flushed.
UNABLE_TO_CLOSE = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.mark.parametrize(
    ("guarded", "kept"), [(True, 3), pytest.param(False, 2, marks=UNABLE_TO_CLOSE)]
)
def test_an_acknowledged_row_outlives_the_flush_of_another_writer_only_with_the_locks(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool, kept: int
) -> None:
    server, client = serve(guarded)
    server._permits.resize(2)  # on one core, too, both writers are let in
    with in_the_middle_of_an_insert(server, client), monkeypatch.context() as little_memory:
        little_memory.setattr(engine_collection, "MEMTABLE_MEMORY_LIMIT", 1)
        client.insert(COLLECTION, row(3))
    assert rows_after_kill(server, tmp_path / "copy") == kept


@pytest.mark.parametrize(("guarded", "times"), [(True, 1), (False, 2)])
def test_two_first_callers_open_a_collection_once_only_with_the_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool, times: int
) -> None:
    _make_closed_collection(tmp_path)
    engine, opened = Engine(tmp_path, guarded=guarded), []
    both = threading.Barrier(2)

    def recover_slowly(**options: Any) -> Any:
        opened.append(options["data_dir"])
        with contextlib.suppress(threading.BrokenBarrierError):  # the other one waits for a lock
            both.wait(2)
        return recover(**options)

    recover = engine_collection.execute_recovery
    monkeypatch.setattr(engine_collection, "execute_recovery", recover_slowly)
    with futures.ThreadPoolExecutor(2) as threads:
        futures.wait([threads.submit(engine.get_collection, COLLECTION) for _ in range(2)])
    engine.close()
    assert len(opened) == times


def _make_closed_collection(data_dir: Path) -> None:
    from milvus_lite import CollectionSchema, DataType, FieldSchema

    fields = [
        FieldSchema(name="id", dtype=DataType.INT64, is_primary=True),
        FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=2),
    ]
    engine = Engine(data_dir)
    engine.create_collection(COLLECTION, CollectionSchema(fields=fields))
    engine.close()
