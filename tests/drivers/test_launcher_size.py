"""A cluster's process holds what it needs to answer, and nothing that only clients need."""

from __future__ import annotations

import psutil

from tests.drivers.launched import Launched, make_collection, rows


def test_it_does_without_pandas_also_when_rows_have_come(server: Launched, collection: str) -> None:
    client = server.client()
    make_collection(client, collection)
    client.insert(collection, rows(*range(10)))
    files = [mapped.path for mapped in psutil.Process(server.pid).memory_maps()]
    assert any("/pyarrow/" in path for path in files)
    assert not [path for path in files if "/pandas/" in path]
