"""Handwritten digits in a cluster of their own: the main job of the console, from end to end.

Creates a cluster through the API, loads scikit-learn's 1,797 digits (8 x 8 pixels, so vectors with
64 dimensions) with the ordinary Milvus SDK, and asks for every digit which other image is nearest.

    VBASE_API_KEY=<key> python examples/digits.py [--address http://127.0.0.1:8000] [--delete]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import httpx
from pymilvus import MilvusClient
from sklearn.datasets import load_digits

COLLECTION = "digits"
DIMENSIONS = 64
QUERIES_AT_ONCE = 100
DEPLOYMENT_SECONDS = 300


class Console:
    """The three calls of the API that this example needs."""

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
        """The cluster when it runs; says meanwhile what is being done."""
        cluster: dict[str, Any] = self.call("POST", "/clusters", name=name)["cluster"]
        deadline, said = time.monotonic() + DEPLOYMENT_SECONDS, ""
        while time.monotonic() < deadline:
            task = self.call("GET", f"/clusters/{cluster['clusterId']}/task")["tasks"][0]
            line = f"{task['status']} {task['progress']:3d} %  {task['message']}"
            if line != said:
                print(f"  {line}")
            if task["status"] == "SUCCEEDED":
                return cluster
            if task["status"] in ("FAILED", "CANCELLED"):
                sys.exit(f"The cluster was not deployed: {task['message']}")
            said = line
            time.sleep(0.5)
        sys.exit(f"The cluster was not deployed within {DEPLOYMENT_SECONDS} s.")


def load(client: MilvusClient, images: Any, labels: Any) -> None:
    client.create_collection(COLLECTION, dimension=DIMENSIONS, metric_type="L2")
    rows = [
        {"id": number, "vector": image.tolist(), "digit": int(label)}
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    client.insert(COLLECTION, rows)
    client.flush(COLLECTION)
    client.load_collection(COLLECTION)


def agreeing(client: MilvusClient, images: Any, labels: Any) -> int:
    """How many digits have a nearest other neighbour that carries the same digit."""
    agree = 0
    for first in range(0, len(images), QUERIES_AT_ONCE):
        queries = images[first : first + QUERIES_AT_ONCE].tolist()
        answers = client.search(COLLECTION, queries, limit=2, output_fields=["digit"])
        for own, hits in enumerate(answers, start=first):
            other = next(hit for hit in hits if hit["id"] != own)
            agree += other["entity"]["digit"] == labels[own]
    return agree


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
        load(client, images, labels)
        agree = agreeing(client, images, labels)
        client.close()
        print(
            f"The nearest other neighbour carries the same digit for {agree:,} of "
            f"{len(images):,} images ({agree / len(images):.1%})."
        )
        _finish(console, cluster, delete=options.delete)


def _finish(console: Console, cluster: dict[str, Any], *, delete: bool) -> None:
    if delete:
        console.call("DELETE", f"/clusters/{cluster['clusterId']}")
        print("The cluster is being deleted.")
    else:
        print(f"The cluster {cluster['clusterId']} stays; --delete removes it afterwards.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--address", default=os.environ.get("VBASE_ADDRESS", _local_address()))
    parser.add_argument("--key", default=os.environ.get("VBASE_API_KEY"))
    parser.add_argument("--name", default=f"digits {time.strftime('%Y-%m-%d %H.%M.%S')}")
    parser.add_argument("--delete", action="store_true", help="delete the cluster in the end")
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
