"""Removal of invalid names that older versions accepted, before the engine opens them.

The name of a partition could be a path, with rows outside the collection's directory, and an alias
could refer to a path. Files outside are left unchanged, because they may have other owners.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from milvus_lite.constants import ALL_PARTITIONS, DEFAULT_PARTITION
from milvus_lite.engine import recovery
from milvus_lite.engine.operation import DeleteOp, InsertOp, Operation
from milvus_lite.index.spec import IndexSpec
from milvus_lite.storage.manifest import Manifest

from clusters.milvus_names import MAX_FIELD_BYTES, MAX_INDEX_TYPE_BYTES, Kind, refusal_of_use

logger = logging.getLogger(__name__)

_PARTITIONS = "partitions"


def without_odd_aliases(aliases: dict[str, str]) -> dict[str, str]:
    """Return the aliases with a valid name and a valid target."""
    return {
        alias: target
        for alias, target in aliases.items()
        if not refusal_of_use(Kind.ALIAS, alias) and not refusal_of_use(Kind.COLLECTION, target)
    }


def detach(directory: Path) -> None:
    """Remove partitions outside the collection's directory and indexes with invalid file names.

    Call it before the collection is opened. Partitions inside stay readable with any name.
    """
    manifest = Manifest.load(str(directory))
    outside = [name for name in manifest.list_partitions() if leads_outside(name)]
    unnamable = [spec for spec in manifest.index_specs.values() if not _can_name_its_files(spec)]
    for name in outside:
        manifest.remove_partition(name)
        logger.warning(
            "%s: partition %r is detached, because its name is a path out of the collection; its "
            "files are left unchanged",
            directory,
            name,
        )
    for spec in unnamable:
        manifest.remove_index_spec(spec.field_name)
        logger.warning(
            "%s: index of field %r is dropped, because its name is no valid file name",
            directory,
            spec.field_name,
        )
    if outside or unnamable:
        manifest.save()


def _can_name_its_files(spec: IndexSpec) -> bool:
    field, index_type = spec.field_name, spec.index_type
    max_bytes = MAX_FIELD_BYTES + MAX_INDEX_TYPE_BYTES - len(index_type.encode())
    is_odd = refusal_of_use(Kind.FIELD, field) or refusal_of_use(Kind.INDEX_TYPE, index_type)
    return not is_odd and len(field.encode()) <= max_bytes


def leads_outside(partition: str) -> bool:
    """Return True if the path is not strictly below the directory of partitions."""
    path = os.path.normpath(os.path.join(_PARTITIONS, partition))
    return "\0" in partition or not path.startswith(f"{_PARTITIONS}{os.sep}")


def install() -> None:
    """Recover rows of partitions outside into the default partition. Idempotent."""
    replay = recovery.replay_wal_operations
    if hasattr(replay, "keeps_inside"):
        return

    def replay_inside(wal_dir: str, wal_number: int, pk_field: str) -> Iterator[Operation]:
        return map(_inside, replay(wal_dir, wal_number, pk_field))

    replay_inside.keeps_inside = True  # type: ignore[attr-defined]
    recovery.replay_wal_operations = replay_inside


def _inside(operation: Operation) -> Operation:
    if operation.partition == ALL_PARTITIONS or not leads_outside(operation.partition):
        return operation
    logger.warning(
        "partition %r: rows go to the default partition, because the name is a path",
        operation.partition,
    )
    kind = InsertOp if isinstance(operation, InsertOp) else DeleteOp
    return kind(partition=DEFAULT_PARTITION, batch=_moved(operation.batch))


def _moved(batch: pa.RecordBatch) -> pa.RecordBatch:
    at = batch.schema.get_field_index("_partition")
    column = pa.array([DEFAULT_PARTITION] * batch.num_rows, batch.schema.field(at).type)
    return batch.set_column(at, batch.schema.field(at), column)
