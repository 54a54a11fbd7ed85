"""Live rows of pinned segments: the newest row of each key, unless deleted later.

Memory is bounded for any number of rows and deletions: keys are compared in passes, each over a
share of the keys that fits. Each row needs one bit, and with several passes the number of its pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_PASS_ENTRIES = 2**18
_PASS_KEY_BYTES = 16 * 1024 * 1024
_BATCH_ROWS = 2**16
_MAX_PASSES = 2**16
_DELETION = -1
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_UPPER_HALF = np.uint64(32)
_SEQUENCE = "_seq"

Bits = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint64]
Shares = npt.NDArray[np.uint16]
Positions = npt.NDArray[np.int64]
Chunk = tuple[pa.Array, Numbers, Positions, Positions]
"""Keys, their sequences, the number of their file (or _DELETION), and of their row in the file."""


def live_bits(
    data_files: Sequence[Path],
    delta_files: Sequence[Path],
    key: str,
    *,
    pass_entries: int = _PASS_ENTRIES,
) -> list[Bits]:
    """Return packed bits for each data file, one per row, set if the row is live."""
    bits = [np.zeros((_rows(path) + 7) // 8, dtype=np.uint8) for path in data_files]
    files = [*enumerate(data_files), *((_DELETION, path) for path in delta_files)]
    paths = [path for _, path in files]
    passes = _passes(paths, key, pass_entries)
    shares = [_shares(path, key, passes) for path in paths]
    for share in range(passes):
        chosen = [of_file == share for of_file in shares]
        chunks = [chunk for chunk in _chunks(files, chosen, key) if len(chunk[0])]
        if chunks:
            numbers, rows = _survivors(chunks)
            for number in np.unique(numbers):
                mine = rows[numbers == number]
                np.bitwise_or.at(bits[number], mine >> 3, (1 << (mine & 7)).astype(np.uint8))
    return bits


def live_slice(bits: Bits, start: int, count: int) -> npt.NDArray[np.bool_]:
    first = start // 8
    unpacked = np.unpackbits(bits[first : (start + count + 7) // 8], bitorder="little")
    return unpacked[start - first * 8 :][:count].astype(bool)


def live_count(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _passes(paths: Sequence[Path], key: str, pass_entries: int) -> int:
    entries = sum(_rows(path) for path in paths)
    size = sum(_key_bytes(path, key) for path in paths)
    passes = max(1, -(-entries // pass_entries), -(-size // _PASS_KEY_BYTES))
    return min(passes, _MAX_PASSES)


def _key_bytes(path: Path, key: str) -> int:
    metadata = pq.read_metadata(path)
    at = metadata.schema.to_arrow_schema().get_field_index(key)
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(g).column(at).total_uncompressed_size for g in groups)


def _shares(path: Path, key: str, passes: int) -> Shares:
    if passes == 1:
        return np.zeros(_rows(path), dtype=np.uint16)
    batches = read_parquet(path, [key], _BATCH_ROWS)
    return np.concatenate(
        [np.empty(0, np.uint16), *(_spread(b.column(0), passes) for b in batches)]
    )


def _spread(keys: pa.Array, passes: int) -> Shares:
    if pa.types.is_integer(keys.type):
        hashes = keys.to_numpy().astype(np.uint64)
    else:
        hashes = np.fromiter(map(hash, keys.to_pylist()), np.int64, len(keys)).astype(np.uint64)
    share: Numbers = (hashes * _SPREAD >> _UPPER_HALF) % np.uint64(passes)
    return share.astype(np.uint16)


def _chunks(
    files: Sequence[tuple[int, Path]], chosen: Sequence[npt.NDArray[np.bool_]], key: str
) -> Iterator[Chunk]:
    for (number, path), of_file in zip(files, chosen, strict=True):
        first = 0
        for batch in read_parquet(path, [key, _SEQUENCE], _BATCH_ROWS):
            mine = of_file[first : first + batch.num_rows]
            chosen_rows = batch.filter(pa.array(mine))
            sequences = chosen_rows.column(_SEQUENCE).to_numpy()
            numbers = np.full(len(sequences), number, dtype=np.int64)
            yield chosen_rows.column(key), sequences, numbers, np.flatnonzero(mine) + first
            first += batch.num_rows


def read_parquet(
    path: Path, columns: Sequence[str], rows: int, row_groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream batches. Memory holds one batch and a buffer for each column."""
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        yield from file.iter_batches(batch_size=rows, columns=columns, row_groups=row_groups)


def _survivors(chunks: Sequence[Chunk]) -> tuple[Positions, Positions]:
    """Return file and row of the last entry of each key, unless that entry is a deletion."""
    keys = _comparable([chunk[0] for chunk in chunks])
    sequences, files, rows = (np.concatenate([chunk[at] for chunk in chunks]) for at in (1, 2, 3))
    order = np.lexsort((files, sequences, keys))
    sorted_keys = keys[order]
    is_last = np.append(sorted_keys[1:] != sorted_keys[:-1], True)
    last = order[is_last]
    alive = last[files[last] != _DELETION]
    return files[alive], rows[alive]


def _comparable(keys: Sequence[pa.Array]) -> Positions:
    """Map keys to numbers that are equal if and only if the keys are equal."""
    joined = pa.chunked_array(keys).combine_chunks()
    if pa.types.is_integer(joined.type):
        return np.asarray(joined.to_numpy())
    return np.asarray(joined.dictionary_encode().indices.to_numpy())
