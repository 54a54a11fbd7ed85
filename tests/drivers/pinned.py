"""Read a pinned snapshot the way its description says, with pyarrow alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Rows = dict[Any, dict[str, Any]]


def live_rows(snapshot: dict[str, Any], name: str) -> Rows:
    """The newest row of every key, but those with a newer deletion."""
    (pinned,) = [each for each in snapshot["collections"] if each["name"] == name]
    root, key = Path(snapshot["directory"]), pinned["primary_key"]
    deleted = {row[key]: row["_seq"] for row in _read(root, pinned["delta_files"], key)}
    newest = {row[key]: row for row in _read(root, pinned["data_files"], key)}
    return {value: row for value, row in newest.items() if deleted.get(value, -1) <= row["_seq"]}


def _read(root: Path, files: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """By sequence, so that a dictionary keeps the newest of each key."""
    read = [row for file in files for row in pq.read_table(root / file["path"]).to_pylist()]
    assert len(read) == sum(file["rows"] for file in files)
    return sorted(read, key=lambda row: (row["_seq"], str(row[key])))
