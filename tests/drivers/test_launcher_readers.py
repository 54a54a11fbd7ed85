"""A reader sees every row at all times, while others write and snapshots are created."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import pytest
from pymilvus import MilvusClient

from tests.drivers.launched import Launched, make_collection, rows


@contextmanager
def flushing_all_the_time(launched: Launched, collection: str) -> Iterator[None]:
    """Each snapshot flushes one more row out of memory."""
    client, stopped = launched.client(), threading.Event()

    def flush() -> None:
        number = 1_000_000
        while not stopped.is_set():
            number += 1
            client.insert(collection, rows(number))
            chosen = {"database": "default", "collections": [collection]}
            launched.control("CreateSnapshot", name=f"{collection}_{number}", **chosen)
            launched.control("DropSnapshot", name=f"{collection}_{number}")

    with futures.ThreadPoolExecutor(1) as thread:
        flushing = thread.submit(flush)
        try:
            yield
        finally:
            stopped.set()
            flushing.result()


STORED = 20_000
"""Reading that many takes a while, in which a flush may come."""


@pytest.fixture
def stored(client: MilvusClient, collection: str) -> str:
    make_collection(client, collection)
    for start in range(0, STORED, 5_000):
        client.insert(collection, rows(*range(start, start + 5_000)))
    client.flush(collection)
    return collection


def test_no_row_is_out_of_sight_for_a_moment(
    server: Launched, client: MilvusClient, stored: str
) -> None:
    with flushing_all_the_time(server, stored):
        for number in range(STORED, STORED + 60):
            client.insert(stored, rows(number))
            last = client.query(stored, filter=f"id >= {STORED}", output_fields=["id"])
            assert {each["id"] for each in last} >= set(range(STORED, number + 1))
