"""Names that older versions let in, taken out of the engine's reach before it opens them.

A partition could be called like a path, so that its rows lay outside of its collection; an alias
could mean one. Files outside are left as they are: they may belong to somebody else.
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
    """The aliases that are names themselves and mean one."""
    return {
        alias: target
        for alias, target in aliases.items()
        if not refusal_of_use(Kind.ALIAS, alias) and not refusal_of_use(Kind.COLLECTION, target)
    }


def detach(directory: Path) -> None:
    """Before the collection in `directory` is opened: partitions whose rows lie elsewhere are no
    longer its own, and indexes whose files cannot be named are none. Partitions inside stay
    readable, however odd their names.
    """
    manifest = Manifest.load(str(directory))
    outside = [name for name in manifest.list_partitions() if leads_outside(name)]
    unnamable = [spec for spec in manifest.index_specs.values() if not _can_name_its_files(spec)]
    for name in outside:
        manifest.remove_partition(name)
        logger.warning(
            "partition %r of %s is detached: its name leads out of the collection; the files "
            "there are left as they are",
            name,
            directory,
        )
    for spec in unnamable:
        manifest.remove_index_spec(spec.field_name)
        logger.warning(
            "the index of field %r of %s is dropped: no file can be called so",
            spec.field_name,
            directory,
        )
    if outside or unnamable:
        manifest.save()


def _can_name_its_files(spec: IndexSpec) -> bool:
    field, index_type = spec.field_name, spec.index_type
    room = MAX_FIELD_BYTES + MAX_INDEX_TYPE_BYTES - len(index_type.encode())
    is_odd = refusal_of_use(Kind.FIELD, field) or refusal_of_use(Kind.INDEX_TYPE, index_type)
    return not is_odd and len(field.encode()) <= room


def leads_outside(partition: str) -> bool:
    """A way that is not strictly below the directory of all partitions."""
    way = os.path.normpath(os.path.join(_PARTITIONS, partition))
    return "\0" in partition or not way.startswith(f"{_PARTITIONS}{os.sep}")


def install() -> None:
    """Rows in a log that went to a partition outside come back in the default one; a second time
    changes nothing.
    """
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
        "rows of partition %r go to the default partition: its name leads out of the collection",
        operation.partition,
    )
    kind = InsertOp if isinstance(operation, InsertOp) else DeleteOp
    return kind(partition=DEFAULT_PARTITION, batch=_moved(operation.batch))


def _moved(batch: pa.RecordBatch) -> pa.RecordBatch:
    at = batch.schema.get_field_index("_partition")
    column = pa.array([DEFAULT_PARTITION] * batch.num_rows, batch.schema.field(at).type)
    return batch.set_column(at, batch.schema.field(at), column)
