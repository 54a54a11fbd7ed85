"""The console reads the files of the snapshot it took, wherever the cluster says that they lie.

A cluster's process is confined, the console's worker is not: it could read all other clusters for
a tenant whose engine is at fault.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backups.milvus.errors import MilvusError, UnsupportedFeature
from backups.milvus.snapshot import Snapshots
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.layout import CONSOLE_SNAPSHOTS
from tests.drivers.launched import CONTROL, Launched
from tests.milvus.rooms import Room, keys, row, unused_name

SECRET_KEY = 4711


class Pinned:
    """A snapshot whose description the cluster has changed, and a file that is not its own."""

    def __init__(self, room: Room, root: Path, elsewhere: Path) -> None:
        self._snapshots = room.snapshots
        self.name = unused_name()
        room.tenant.insert(collection := room.make(), [row(1)])
        room.snapshots.take(self.name, database="default", collections=[collection])
        self.directory = root / self.name
        self.file = next(self.directory.rglob("*.parquet"))
        self.secret = elsewhere / "secret.parquet"
        room.tenant.insert(other := room.make(), [row(SECRET_KEY)])
        room.snapshots.take(another := unused_name(), database="default", collections=[other])
        os.link(next((root / another).rglob("*.parquet")), self.secret)

    def say(self, kind: str, path: str) -> None:
        description = self.directory / "snapshot.json"
        said = json.loads(description.read_text())
        said["collections"][0][kind] = [{**said["collections"][0]["data_files"][0], "path": path}]
        description.write_text(json.dumps(said))

    def rows(self) -> int:
        found = self._snapshots.find(self.name)
        assert found is not None
        return found.scans()[0].rows()


@pytest.fixture
def root(cluster: Launched) -> Path:
    return cluster.data_dir / CONSOLE_SNAPSHOTS


@pytest.fixture
def pinned(room: Room, root: Path, tmp_path: Path) -> Pinned:
    return Pinned(room, root, tmp_path)


WAYS: dict[str, Callable[[Pinned], str]] = {
    "absolute": lambda pinned: str(pinned.secret),
    "relative": lambda pinned: os.path.relpath(pinned.secret, pinned.directory),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["data_files", "delta_files"])
def test_a_path_out_of_the_snapshot_is_not_followed(pinned: Pinned, kind: str, way: str) -> None:
    pinned.say(kind, WAYS[way](pinned))
    with pytest.raises(UnsupportedFeature, match="outside of its directory"):
        pinned.rows()


def test_a_symbolic_link_out_of_the_snapshot_is_not_followed(pinned: Pinned) -> None:
    """On kernels that do not confine the cluster's files it could make one."""
    pinned.file.unlink()
    pinned.file.symlink_to(pinned.secret)
    with pytest.raises(UnsupportedFeature, match="outside of its directory"):
        pinned.rows()


class Astray(ControlClient):
    """A cluster that says that its snapshots lie in another directory."""

    directory = Path()

    def call(self, method: str, *, timeout_seconds: float = 10.0, **arguments: Any) -> Any:
        answer = super().call(method, timeout_seconds=timeout_seconds, **arguments)
        return {**answer, "directory": str(self.directory)}


def test_the_cluster_does_not_choose_the_directory(
    room: Room, cluster: Launched, root: Path, tmp_path: Path
) -> None:
    room.tenant.insert(collection := room.make(), [row(1)])
    control = Astray(cluster.port, CONTROL)
    control.directory = tmp_path
    taken = Snapshots(control, root).take(
        unused_name(), database="default", collections=[collection]
    )
    assert list(keys(taken.scans()[0].batches())) == [1]


class Odd(ControlClient):
    """A cluster that lists its snapshots in a form of its own."""

    answer: Any = None

    def call(self, method: str, *, timeout_seconds: float = 10.0, **arguments: Any) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [None, [], {}, {"names": "s"}, {"names": [1]}])
def test_a_list_of_snapshots_that_is_none_is_an_error_that_a_janitor_goes_on_after(
    root: Path, answer: Any
) -> None:
    control = Odd(1, CONTROL)
    control.answer = answer
    with pytest.raises(MilvusError, match="returned an invalid list of snapshots"):
        Snapshots(control, root).names()
