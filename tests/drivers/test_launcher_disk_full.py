"""A server whose disk takes nothing more: it says so, and what is dropped makes room.

No file of the process may grow beyond a limit, so the kernel refuses every longer write.
"""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest
from pymilvus import MilvusException

from tests.drivers.launched import Launched, ids, make_collection, rows

SMALLEST = 2048
LATER = range(1000, 1200)


def limit_files(pid: int, size: int) -> None:
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


def test_rows_that_find_no_room_are_refused_and_the_others_stay(
    launch: Callable[..., Launched],
) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "kept")
    client.insert("kept", rows(*range(10)))
    limit_files(launched.pid, SMALLEST)
    with pytest.raises(MilvusException, match="File too large"):
        client.insert("kept", rows(*LATER))
    assert ids(client, "kept") == set(range(10))


def test_a_collection_can_be_dropped_to_make_room(launch: Callable[..., Launched]) -> None:
    launched = launch()
    client = launched.client()
    make_collection(client, "unflushed")
    client.insert("unflushed", rows(*LATER))
    limit_files(launched.pid, SMALLEST)
    client.drop_collection("unflushed")
    assert client.list_collections() == []
    limit_files(launched.pid, resource.RLIM_INFINITY)
    make_collection(client, "unflushed")
    client.insert("unflushed", rows(1))
    assert ids(launched.restart().client(), "unflushed") == {1}
