"""Live rows compared with a dictionary, over files made by hand, in few passes and many."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backups.milvus.live import live_bits, live_count, live_slice

KEYS = [*range(-3, 4), 2**63 - 1, -(2**63)]
TEXTS = ["", "a", '"', "\\", "é", "\0", "\0\0"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """Operations of a client in order: (key, is a deletion, number of the file with it)."""

    events: list[tuple[Any, bool, int]]

    def files(self, root: Path, *, deletions: bool) -> list[Path]:
        rows: dict[int, list[tuple[Any, int]]] = {}
        for sequence, (key, deletes, file) in enumerate(self.events):
            if deletes == deletions:
                rows.setdefault(file, []).append((key, sequence))
        return [_write(root / f"{deletions}_{file}", rows[file]) for file in sorted(rows)]

    def living(self) -> set[tuple[Any, int]]:
        newest = {key: (sequence, deletes) for sequence, (key, deletes, _) in _numbered(self)}
        return {(key, sequence) for key, (sequence, deletes) in newest.items() if not deletes}


def _numbered(written: Written) -> list[tuple[int, tuple[Any, bool, int]]]:
    return list(enumerate(written.events))


def _write(path: Path, rows: list[tuple[Any, int]]) -> Path:
    keys, sequences = zip(*rows, strict=True)
    columns = {"id": pa.array(keys), "_seq": pa.array(sequences, pa.uint64())}
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def _found(written: Written, pass_entries: int) -> set[tuple[Any, int]]:
    with tempfile.TemporaryDirectory() as directory:
        data = written.files(Path(directory), deletions=False)
        deltas = written.files(Path(directory), deletions=True)
        bits = live_bits(data, deltas, "id", pass_entries=pass_entries)
        return {
            row for path, mask in zip(data, bits, strict=True) for row in _living_rows(path, mask)
        }


def _living_rows(path: Path, bits: np.ndarray) -> list[tuple[Any, int]]:
    table = pq.read_table(path)
    alive = table.filter(pa.array(live_slice(bits, 0, table.num_rows)))
    assert live_count(bits) == alive.num_rows
    return list(zip(alive["id"].to_pylist(), alive["_seq"].to_pylist(), strict=True))


@st.composite
def histories(draw: st.DrawFn) -> Written:
    key = st.sampled_from(draw(st.sampled_from([KEYS, TEXTS])))
    event = st.tuples(key, st.booleans(), st.integers(0, 3))
    return Written(events=draw(st.lists(event, max_size=40)))


@pytest.mark.parametrize("pass_entries", [1, 5, 1000])
@given(written=histories())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_newest_row_of_each_key_lives_unless_deleted_later(
    pass_entries: int, written: Written
) -> None:
    assert _found(written, pass_entries) == written.living()


@given(st.integers(0, 30), st.integers(0, 30), st.lists(st.booleans(), max_size=70))
def test_a_slice_of_bits_is_a_slice_of_rows(start: int, count: int, alive: list[bool]) -> None:
    bits = np.packbits(np.array(alive, dtype=np.uint8), bitorder="little")
    count = min(count, max(0, len(alive) - start))
    assert live_slice(bits, start, count).tolist() == alive[start : start + count]
