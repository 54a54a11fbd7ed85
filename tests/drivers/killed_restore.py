"""Restore a snapshot once for each file operation in it, killed at that operation.

Prints `nothing` or `all` after each kill, or ends with an error if a part of a collection was left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks
from clusters.drivers.embedded.server.snapshots import SnapshotStore
from clusters.drivers.embedded.server.tenant_snapshots import TenantSnapshots

_CHANGES = {"open", "os.link", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.copyfile"}
_KEYS = list(range(20))


def main(root: Path, only: int | None) -> None:
    _prepare(root / "whole")
    if only is not None:
        _killed_at(only, root / "whole")
        return
    number = 0
    while True:
        number += 1
        copy = root / str(number)
        shutil.copytree(root / "whole", copy)
        if (child := os.fork()) == 0:
            _killed_at(number, copy)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{_look(copy)}\n")
        if not os.WIFSIGNALED(status):
            return


def _prepare(directory: Path) -> None:
    engine, snapshots = _open(directory)
    key = FieldSchema(name="id", dtype=DataType.INT64, is_primary=True)
    vector = FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=2)
    collection = engine.create_collection("source", CollectionSchema(fields=[key, vector]))
    collection.insert([{"id": number, "vector": [number, 1.0]} for number in (*_KEYS, 99)])
    collection.flush()
    collection.delete([99])
    snapshots.create("mine", database="default", collection="source", description="")
    engine.close()


def _open(directory: Path) -> tuple[Engine, TenantSnapshots]:
    engine = Engine(directory / "data")
    files = SnapshotStore(engine, CollectionLocks(), directory / "data" / "snapshots")
    return engine, TenantSnapshots(engine, files)


def _killed_at(number: int, directory: Path) -> None:
    _, snapshots = _open(directory)
    left = number

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        changes = event in _CHANGES and not (event == "open" and arguments[1] in ("r", "rb"))
        left -= changes
        if changes and not left:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    snapshots.restore("mine", source=("default", "source"), target=("default", "target"))


def _look(directory: Path) -> str:
    engine, snapshots = _open(directory)
    engine.prepare()
    names = engine.list_collections()
    if "target" not in names:
        assert names == ["source"], names
        snapshots.restore("mine", source=("default", "source"), target=("default", "target"))
    found = [row["id"] for row in engine.get_collection("target").query("id >= 0")]
    assert sorted(found) == _KEYS, found
    leftovers = [path.name for path in (directory / "data" / ".staging").glob("*")]
    assert leftovers == [], leftovers
    engine.close()
    return "all" if "target" in names else "nothing"


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
