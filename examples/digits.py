"""Handwritten digits in a cluster of their own: the main job of the console, from end to end.

Creates a cluster through the API, loads scikit-learn's 1,797 digits (8 x 8 pixels, so vectors with
64 dimensions) with the ordinary Milvus SDK, and asks for every digit which other image is nearest.
Then it backs the digits up, drops them, restores them, and compares every vector and every search.

    VBASE_API_KEY=<key> python examples/digits.py [--address http://127.0.0.1:8000] [--delete]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
from pymilvus import DataType, MilvusClient
from sklearn.datasets import load_digits

COLLECTION = "digits"
DIMENSIONS = 64
QUERIES_PER_SEARCH = 100
TIMEOUT_SECONDS = 300
NEAREST = 5


class Console:
    """The calls of the API that this example needs."""

    def __init__(self, address: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{address}/v1/vbase", headers=headers, timeout=30)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body or None)
        except httpx.TransportError as error:
            sys.exit(f"No console answers at {self._http.base_url} ({error}); start it: make run")
        answer: dict[str, Any] = response.json()
        if response.status_code != 200:
            sys.exit(f"{method} {path}: {answer['response']['message']}")
        return answer

    def create_cluster(self, name: str) -> dict[str, Any]:
        """Create a cluster and print the progress. Returns the cluster when it runs."""
        cluster: dict[str, Any] = self.call("POST", "/clusters", name=name)["cluster"]
        tasks = f"/clusters/{cluster['clusterId']}/task"
        follow(lambda: self.call("GET", tasks)["tasks"][0])
        return cluster

    def do(self, path: str, **body: Any) -> dict[str, Any]:
        """Start a job and print its progress. Returns the job when it has succeeded."""
        job = self.call("POST", path, **body)["job"]
        return follow(lambda: self.call("GET", f"/jobs/{job['jobId']}")["job"])


def follow(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Print the progress of a task or a job until it has succeeded."""
    deadline, printed = time.monotonic() + TIMEOUT_SECONDS, ""
    while time.monotonic() < deadline:
        task = read()
        line = f"{task['status']} {task['progress']:3d} %  {task['message']}"
        if line != printed:
            print(f"  {line}")
        if task["status"] == "SUCCEEDED":
            return task
        if task["status"] in ("FAILED", "CANCELLED"):
            sys.exit(f"The task has failed: {task['message']}")
        printed = line
        time.sleep(0.5)
    sys.exit(f"The task has not finished within {TIMEOUT_SECONDS} s.")


def load(client: MilvusClient, images: Any, labels: Any) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSIONS)
    schema.add_field("digit", DataType.INT8)
    # The exact index: a restore builds it anew, and an approximate one may then choose other rows.
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(COLLECTION, schema=schema, index_params=indexes)
    rows = [
        {"id": number, "vector": image.tolist(), "digit": int(label)}
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    client.insert(COLLECTION, rows)
    client.flush(COLLECTION)
    client.load_collection(COLLECTION)


def searched(client: MilvusClient, images: Any) -> list[list[tuple[int, float, int]]]:
    """Return the nearest images of every image, itself included: id, distance, digit."""
    neighbours: list[list[tuple[int, float, int]]] = []
    for first in range(0, len(images), QUERIES_PER_SEARCH):
        queries = images[first : first + QUERIES_PER_SEARCH].tolist()
        answers = client.search(COLLECTION, queries, limit=NEAREST, output_fields=["digit"])
        neighbours += [
            [(hit["id"], hit["distance"], hit["entity"]["digit"]) for hit in hits]
            for hits in answers
        ]
    return neighbours


def comparable(hits: list[tuple[int, float, int]]) -> tuple[list[float], list[tuple[int, int]]]:
    """Return the distances, and the ids and digits of the rows that these alone decide.

    Rows at the same distance have no order. Of the rows at the farthest distance, a search with a
    limit returns any.
    """
    farthest = hits[-1][1]
    decided = sorted((row, digit) for row, distance, digit in hits if distance < farthest)
    return [distance for _, distance, _ in hits], decided


def agreeing(neighbours: list[list[tuple[int, float, int]]], labels: Any) -> int:
    """Count the digits whose nearest other neighbour shows the same digit."""
    others = [
        next(digit for number, _, digit in hits if number != own)
        for own, hits in enumerate(neighbours)
    ]
    return sum(digit == label for digit, label in zip(others, labels, strict=True))


def stored(client: MilvusClient, count: int) -> list[tuple[int, bytes]]:
    """Return the bytes of every stored vector, in the order of the ids."""
    rows = client.query(COLLECTION, filter="id >= 0", output_fields=["vector"], limit=count + 1)
    return sorted((row["id"], np.asarray(row["vector"], np.float32).tobytes()) for row in rows)


def back_up_and_restore(console: Console, client: MilvusClient, service_id: str) -> None:
    print("Backing the digits up.")
    path = f"/{service_id}/backup"
    backup = console.do(path, collectionNames=[COLLECTION])
    print(f"The backup {backup['backupName']} holds {backup['rowCount']:,} rows. Dropping them.")
    client.drop_collection(COLLECTION)
    print(f"The cluster has {len(client.list_collections())} collections. Restoring.")
    console.do(f"{path}/restore", backupName=backup["backupName"])


def compare(before: Any, after: Any, what: str) -> None:
    if len(before) != len(after):
        sys.exit(f"There were {len(before):,} {what}, and are {len(after):,} after the restore.")
    different = [number for number in range(len(before)) if before[number] != after[number]]
    if different:
        first = different[0]
        sys.exit(
            f"{len(different):,} of {len(before):,} {what} differ after the restore, the first of "
            f"them {before[first]!s:.200} before and {after[first]!s:.200} after."
        )
    print(f"All {len(before):,} {what} are the same.")


def main() -> None:
    options = _options()
    images, labels = load_digits(return_X_y=True)
    with Console(options.address, options.key) as console:
        print(f"Creating the cluster '{options.name}'.")
        cluster = console.create_cluster(options.name)
        access = console.call("GET", f"/{cluster['serviceId']}/access")
        uri = f"http://{access['endpoint']}:{access['port']}"
        print(f"Loading {len(images):,} digits into {uri}.")
        client = MilvusClient(uri, token=access["token"], db_name=access["dbName"])
        _show(console, client, cluster["serviceId"], images, labels)
        client.close()
        _finish(console, cluster, delete=options.delete)


def _show(
    console: Console, client: MilvusClient, service_id: str, images: Any, labels: Any
) -> None:
    load(client, images, labels)
    vectors, neighbours = stored(client, len(images)), searched(client, images)
    agree = agreeing(neighbours, labels)
    print(
        f"The nearest other neighbour carries the same digit for {agree:,} of "
        f"{len(images):,} images ({agree / len(images):.1%})."
    )
    back_up_and_restore(console, client, service_id)
    compare(vectors, stored(client, len(images)), "vectors")
    again = searched(client, images)
    compare(
        [comparable(hits) for hits in neighbours],
        [comparable(hits) for hits in again],
        "search results",
    )


def _finish(console: Console, cluster: dict[str, Any], *, delete: bool) -> None:
    if delete:
        console.call("DELETE", f"/clusters/{cluster['clusterId']}?deleteBackups=true")
        print("The cluster and its backup are being deleted.")
    else:
        print(f"The cluster {cluster['clusterId']} stays; --delete removes it afterwards.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", default=os.environ.get("VBASE_ADDRESS", _local_address()))
    parser.add_argument("--key", default=os.environ.get("VBASE_API_KEY"))
    parser.add_argument("--name", default=f"digits {time.strftime('%Y-%m-%d %H.%M.%S')}")
    parser.add_argument(
        "--delete", action="store_true", help="delete the cluster and its backup in the end"
    )
    options = parser.parse_args()
    if not options.key:
        parser.error(
            "give an API key with --key or in VBASE_API_KEY; "
            "manage.py issue_api_key --organization demo --name digits prints one"
        )
    return options


def _local_address() -> str:
    return f"http://127.0.0.1:{os.environ.get('VBASE_PORT', '8000')}"


if __name__ == "__main__":
    main()
