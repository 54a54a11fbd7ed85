"""A cluster that scales by itself, under a real load: minutes long, so only in `make torture`."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests.live import Api, wait_for

CLIENTS = 6
ROWS = 60_000
DIMENSION = 128


def search_until(stop: threading.Event, access: dict[str, str]) -> None:
    uri = f"http://{access['endpoint']}:{access['port']}"
    client = MilvusClient(uri, token=access["token"])
    vector = [0.5] * DIMENSION
    while not stop.is_set():
        client.search("busy", [vector] * 4, limit=10)
    client.close()


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_it_grows_under_load_and_shrinks_when_idle(api: Api) -> None:
    bounds = {"computeUnits": 1, "maxComputeUnits": 2, "enableAutoScaling": True}
    cluster = api.created("growing", resourceConfig=bounds)
    access = api.access(cluster)
    fill(access)
    stop = threading.Event()
    clients = [threading.Thread(target=search_until, args=(stop, access)) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    try:
        wait_for(lambda: cores_of(api, cluster) == 2, timeout_seconds=300)
    finally:
        stop.set()
        for each in clients:
            each.join()
    wait_for(lambda: cores_of(api, cluster) == 1, timeout_seconds=600)


def fill(access: dict[str, str]) -> None:
    uri = f"http://{access['endpoint']}:{access['port']}"
    client = MilvusClient(uri, token=access["token"])
    client.create_collection("busy", dimension=DIMENSION)
    vectors = np.random.default_rng(1).random((ROWS, DIMENSION), dtype=np.float32)
    for start in range(0, ROWS, 5_000):
        numbers = range(start, start + 5_000)
        client.insert("busy", [{"id": n, "vector": vectors[n].tolist()} for n in numbers])
    client.close()


def cores_of(api: Api, cluster: dict[str, str]) -> int:
    path = f"/{cluster['organizationId']}/clusters/{cluster['clusterId']}"
    return int(api.get(path)["configuration"]["settings"]["effectiveCores"])
