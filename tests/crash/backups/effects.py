"""All that a worker of backups does to the world, announced in a file right before it is done; at
one of these points the worker kills or stops itself.

Beside the effects the file tells what was read, so that nothing is read twice in secret.
"""

from __future__ import annotations

import dataclasses
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backups.archive.reader import ArchiveReader
from backups.capture import job as capture_job
from backups.milvus import pinned
from backups.milvus.client import Client
from backups.stores.local import LocalStore, _StagedFile
from clusters.drivers.embedded.client import ControlClient
from clusters.drivers.embedded.server.methods import READERS, UNCOUNTED
from vbase_console.tasks import attempts, services

STOPPED = "stopped"
ROWS_IN_A_BATCH = 16
SNAPSHOTS = ("CreateSnapshot", "DropSnapshot")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fate:
    """Planned death of the worker: at its n-th point of that name, or of any."""

    signal: int = 0
    point: str = ""
    number: int = 0

    @classmethod
    def from_text(cls, text: str) -> Fate:
        number, point, sent = text.split(",")
        return cls(signal=int(sent), point=point, number=int(number))

    def __str__(self) -> str:
        return f"{self.number},{self.point},{self.signal}"


UNHARMED = Fate()


def killed_at(number: int, point: str = "") -> Fate:
    return Fate(signal=signal.SIGKILL, point=point, number=number)


def stopped_at(number: int, point: str) -> Fate:
    return Fate(signal=signal.SIGSTOP, point=point, number=number)


class Announcer:
    """Writes a line for each effect and each reading, and carries out the fate."""

    def __init__(self, told: Path, fate: Fate) -> None:
        self._told, self._fate, self._seen = told, fate, Counter[str]()

    def tell(self, *words: object) -> None:
        line = " ".join(map(str, words)) + "\n"
        with self._told.open("a") as file:
            file.write(line)

    def point(self, name: str) -> None:
        self._seen.update([name, ""])
        if self._fate.signal and self._is_met_at(name):
            self.tell(STOPPED)
            os.kill(os.getpid(), self._fate.signal)
        self.tell("effect", name)

    def _is_met_at(self, name: str) -> bool:
        point = self._fate.point
        return point in ("", name) and self._seen[point] == self._fate.number

    def before(self, owner: Any, attribute: str, name: Callable[..., str] | str) -> None:
        original = getattr(owner, attribute)

        def announced(*arguments: Any, **named: Any) -> Any:
            called = name if isinstance(name, str) else name(*arguments)
            if called:
                self.point(called)
            return original(*arguments, **named)

        setattr(owner, attribute, announced)

    def counting(self, owner: Any, attribute: str, rows: Callable[[Any], int]) -> None:
        original = getattr(owner, attribute)

        def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
            for each in original(*arguments, **named):
                self.point("batch")
                self.tell("read", rows(each))
                yield each

        setattr(owner, attribute, counted)


def announce_all(announcer: Announcer) -> None:
    """Database, store, Milvus and the control of the cluster; and what is asked before them."""
    for owner, attribute in (
        (attempts, "_take"),
        (attempts.Attempt, "_move"),
        (attempts.Attempt, "_write"),
        (services, "wake_following"),
    ):
        announcer.before(owner, attribute, attribute.strip("_"))
    announcer.before(attempts.Attempt, "guard", "guard")
    announcer.before(_StagedFile, "publish", "publish")
    announcer.before(LocalStore, "_remove", "remove")
    announcer.before(Client, "begin", _changes_milvus)
    announcer.before(ControlClient, "call", _changes_snapshots)
    announcer.counting(pinned.PinnedScan, "batches", lambda each: each.batch.num_rows)
    announcer.counting(ArchiveReader, "batches", lambda each: each.num_rows)


def _changes_milvus(client: Client, method: str, *_: Any) -> str:
    return "" if method in READERS or method in UNCOUNTED else method


def _changes_snapshots(client: ControlClient, method: str, *_: Any) -> str:
    return method if method in SNAPSHOTS else ""


def make_parts_small() -> None:
    """Parts of a few rows, so that there are several to die between."""
    write = capture_job.write_parts

    def write_small(*arguments: Any, **options: Any) -> Any:
        return write(*arguments, **options, part_bytes=1)

    capture_job.write_parts = write_small
    pinned._batch_rows = lambda metadata: ROWS_IN_A_BATCH
