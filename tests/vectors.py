"""Rows in a running cluster, through the ordinary SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from pymilvus import MilvusClient, MilvusException

from tests.live import wait_for

COLLECTION = "numbers"
DIMENSION = 8

Access = dict[str, Any]


@contextlib.contextmanager
def connected(access: Access, token: str | None = None) -> Iterator[MilvusClient]:
    """As a tenant connects with what GetServiceAccess answers."""
    uri = f"http://{access['endpoint']}:{access['port']}"
    chosen = access["token"] if token is None else token
    client = MilvusClient(uri, token=chosen, db_name=access["dbName"], timeout=10)
    try:
        yield client
    finally:
        client.close()


def store(access: Access, numbers: Iterable[int]) -> None:
    """One row for each number, in an indexed and loaded collection."""
    with connected(access) as client:
        if not client.has_collection(COLLECTION):
            client.create_collection(COLLECTION, dimension=DIMENSION, metric_type="L2")
        client.insert(COLLECTION, [{"id": n, "vector": _vector(n)} for n in numbers])


def rows_of(access: Access) -> set[int]:
    with connected(access) as client:
        return {row["id"] for row in client.query(COLLECTION, filter="id >= 0")}


def nearest(access: Access, number: int) -> int:
    with connected(access) as client:
        (hits,) = client.search(COLLECTION, [_vector(number)], limit=1)
        return int(hits[0]["id"])


def is_refused(access: Access, token: str) -> bool:
    """pymilvus says of a wrong token that it cannot connect, or hands through what it was told."""
    refusals = (MilvusException, grpc.RpcError)
    with contextlib.suppress(*refusals), connected(access, token) as client:
        client.list_collections()
        return False
    return True


def wait_until_searched(access: Access, number: int, timeout_seconds: float = 120) -> None:
    wait_for(lambda: _answers(access, number), timeout_seconds)


def _answers(access: Access, number: int) -> bool:
    with contextlib.suppress(MilvusException):
        return nearest(access, number) == number
    return False


def _vector(number: int) -> list[float]:
    return [float(number)] * DIMENSION
