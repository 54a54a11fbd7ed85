"""A part is kept with the place behind its own last batch, also where a partition ends."""

from __future__ import annotations

import itertools
from unittest import mock

import pyarrow as pa

from backups.capture.job import _CopiedRows
from backups.milvus.scan import Scanned


def scanned(cursor: str) -> Scanned:
    return Scanned(batch=pa.record_batch({"id": [1]}), partition=cursor[0], cursor=cursor)


def test_the_first_batch_of_the_next_partition_is_not_taken_for_read() -> None:
    reading = _CopiedRows(map(scanned, ["a1", "a2", "b1"]), mock.Mock(), mock.Mock(), "")
    kept = []
    for _, group in itertools.groupby(reading, key=lambda each: each.partition):
        list(reading.batches_of(group))
        kept.append(reading.cursor)
    assert kept == ["a2", "b1"]
