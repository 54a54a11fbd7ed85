"""A wait ends with the answer, however long the pause between two looks is."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from backups.milvus import polling
from backups.milvus.client import Pending
from backups.milvus.create import create, load, loading
from backups.milvus.indexing import IndexBuild
from clusters.drivers.embedded.client import ControlClient
from tests.drivers.launched import CONTROL, Launched
from tests.milvus.rooms import Room, row, unused_name
from tests.milvus.test_collections import HNSW, with_index

AN_HOUR = 3600.0


class Call:
    """A call whose answer the test gives."""

    def __init__(self) -> None:
        self._tell: list[Callable[[Any], None]] = []

    def add_done_callback(self, tell: Callable[[Any], None]) -> None:
        self._tell.append(tell)

    def end(self) -> None:
        for tell in self._tell:
            tell(self)


def test_pauses_double_up_to_the_longest() -> None:
    assert [round(pause, 3) for pause in itertools.islice(polling.pauses(), 8)] == [
        *(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.2, 0.2)
    ]


def test_a_call_without_an_answer_is_waited_for_no_longer_than_asked() -> None:
    assert not Pending(Call(), str).wait(0.001)


def test_an_answer_ends_the_wait() -> None:
    call = Call()
    pending = Pending(call, str)
    threading.Timer(0.01, call.end).start()
    assert pending.wait(AN_HOUR)


def test_indexing_and_loading_a_small_collection_wait_for_no_clock(
    room: Room, cluster: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "FIRST_PAUSE_SECONDS", AN_HOUR)
    monkeypatch.setattr(polling, "MAX_PAUSE_SECONDS", AN_HOUR)
    collection = with_index(room, room.make(), HNSW)
    create(room.milvus, collection, name := unused_name())
    room.tenant.insert(name, [row(1)])
    control = ControlClient(cluster.port, CONTROL)
    IndexBuild(room.milvus, control, collection, name).run(lambda *_: None)
    load(room.milvus, name, collection.load)
    assert [*loading(room.milvus, name, collection.load)] == [100]
