"""Index builds with progress and cancellation.

The engine passes the rows of a segment to faiss in one call, which takes minutes. Here the rows are
added in small steps. Each step updates the progress and ends a cancelled build.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import faiss
from milvus_lite.index.scalar import IMPLEMENTED_SCALAR_INDEX_TYPES
from milvus_lite.schema.types import DataType

_ROWS_PER_STEP = 512
_MADE_IN_STEPS: tuple[Any, ...] = (
    faiss.IndexHNSWFlat,
    faiss.IndexHNSWSQ,
    faiss.IndexIVFFlat,
    faiss.IndexIVFScalarQuantizer,
)


class BuildCancelled(Exception): ...


@dataclasses.dataclass
class IndexBuildState:
    """Running index builds of a collection."""

    is_wanted: Callable[[], bool] = lambda: True
    is_dropped: bool = False
    added_rows: dict[int, int] = dataclasses.field(default_factory=dict)
    """Rows that each thread has added to its incomplete index."""
    fields: dict[int, str] = dataclasses.field(default_factory=dict)
    """Field of the index that each thread builds."""
    awaited: frozenset[str] = frozenset()
    """Fields of the indexes that a call builds."""

    def step(self, rows: int) -> None:
        if self.is_dropped or not self.is_wanted():
            raise BuildCancelled("Index build cancelled, because the requesting job has ended.")
        self.added_rows[threading.get_ident()] += rows


_here = threading.local()


_SPEED_OF_SPARSE_SEARCH = ("drop_ratio_build", "drop_ratio_search", "inverted_index_algo")
"""Parameters that trade exactness for speed. The engine's search is exact without them."""


def _accept_speed_parameters(collection: Any) -> None:
    validate = getattr(collection, "_validate_sparse_tuning", None)
    if validate is None:  # before 3.2.2, which refuses them
        return

    def validate_other(field_name: str, metric_type: str, parameters: dict[str, Any]) -> None:
        rest = {k: v for k, v in parameters.items() if k not in _SPEED_OF_SPARSE_SEARCH}
        validate(field_name, metric_type, rest)

    collection._validate_sparse_tuning = validate_other


def furnish(collection: Any) -> None:
    """Track all index builds of the collection."""
    _accept_speed_parameters(collection)
    building = IndexBuildState()
    build = collection._build_or_load_segment_index

    def build_with_progress(segment: Any, spec: Any) -> None:
        if getattr(_here, "is_deferring", False):
            return
        building.fields[threading.get_ident()] = spec.field_name
        building.added_rows[threading.get_ident()] = 0
        _here.building = building
        try:
            build(segment, spec)
        finally:
            _here.building = None
            del building.added_rows[threading.get_ident()], building.fields[threading.get_ident()]

    collection._build_or_load_segment_index = build_with_progress
    collection.vbase_building = building
    build_in_background(collection)


def build_in_background(collection: Any) -> None:
    """Replace the engine's builds under the maintenance lock, which all readers take.

    The collection's background thread builds instead. The same thread builds the indexes of flushed
    rows, so that no index is built twice. The caller holds the collection's write lock.
    """
    create_index = collection.create_index

    def create_and_build(field_name: str, index_params: dict[str, Any]) -> None:
        is_new = field_name not in collection._index_specs
        with _awaited(collection, frozenset([field_name] if is_new else [])):
            _here.is_deferring = True
            try:
                create_index(field_name, index_params)
            finally:
                _here.is_deferring = False
            if collection.load_state == "loaded":
                collection._bg_executor.submit(lambda: _build_missing(collection)).result()

    def load() -> None:
        if collection.load_state == "loaded":
            return
        collection._load_state = "loading"
        try:
            with _awaited(collection, frozenset(collection._index_specs)):
                collection._bg_executor.submit(lambda: _build_missing(collection)).result()
        except BaseException:
            collection._load_state = "released"
            raise
        collection._load_state = "loaded"

    collection.create_index = create_and_build
    collection.load = load


@contextmanager
def _awaited(collection: Any, fields: frozenset[str]) -> Iterator[None]:
    building = building_of(collection)
    building.awaited = fields
    try:
        yield
    finally:
        building.awaited = frozenset()


def _build_missing(collection: Any) -> None:
    for spec in tuple(collection._index_specs.values()):
        for segment in collection._segments_snapshot():
            if segment.num_rows and not _has_index(segment, spec):
                collection._build_or_load_segment_index(segment, spec)


def building_of(collection: Any) -> IndexBuildState:
    building: IndexBuildState = collection.vbase_building
    return building


@contextmanager
def wanted_while(collection: Any, is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Cancel builds of this collection once `is_wanted` returns False.

    Queued background work is finished first, so that no index is built twice.
    """
    collection._wait_for_bg()
    building = building_of(collection)
    building.is_wanted = is_wanted
    try:
        yield
    finally:
        building.is_wanted = lambda: True


def progress(collection: Any) -> tuple[int, int]:
    """Return rows indexed and rows to index over all indexes. Takes no lock of a build."""
    specs = [spec for spec in list(collection._index_specs.values()) if _is_built(collection, spec)]
    counts = [_progress(collection, spec) for spec in specs]
    return sum(done for done, _ in counts), sum(total for _, total in counts)


def awaited_progress(collection: Any, field_name: str) -> tuple[int, int] | None:
    """Return the progress of an index that a call is building, or None for other indexes."""
    spec = collection._index_specs.get(field_name)
    if spec is None or field_name not in building_of(collection).awaited:
        return None
    return _progress(collection, spec) if _is_built(collection, spec) else None


def _progress(collection: Any, spec: Any) -> tuple[int, int]:
    building = building_of(collection)
    cached = list(collection._segment_cache.values())
    segments = [segment for segment in cached if segment.num_rows]
    total = sum(segment.num_rows for segment in segments)
    done = sum(segment.num_rows for segment in segments if _has_index(segment, spec))
    for thread, rows in list(building.added_rows.items()):
        if building.fields.get(thread) == spec.field_name:
            done += rows
    return min(done, total), total


def automatic_type(collection: Any, field_name: str) -> str:
    """Return the index type of AUTOINDEX for a field.

    Empty for a dense vector, whose AUTOINDEX the engine supports, and for an unknown field.
    """
    types = {field.name: field.dtype for field in collection.schema.fields}
    match types.get(field_name, DataType.FLOAT_VECTOR):
        case DataType.FLOAT_VECTOR:
            return ""
        case DataType.SPARSE_FLOAT_VECTOR:
            return "SPARSE_INVERTED_INDEX"
        case _:
            return "INVERTED"


def _is_built(collection: Any, spec: Any) -> bool:
    """Return False for sparse indexes, which are built during the search."""
    types = {field.name: field.dtype for field in collection.schema.fields}
    return types.get(spec.field_name) is not DataType.SPARSE_FLOAT_VECTOR


def _has_index(segment: Any, spec: Any) -> bool:
    is_scalar = spec.index_type in IMPLEMENTED_SCALAR_INDEX_TYPES
    return spec.field_name in (segment.scalar_indexes if is_scalar else segment.indexes)


def install() -> None:
    """Replace `add` of the index classes of faiss. Idempotent."""
    for kind in _MADE_IN_STEPS:
        if not hasattr(kind.add, "in_steps"):
            kind.add = _in_steps(kind.add)


def _in_steps(add: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def add_in_steps(index: Any, vectors: Any) -> None:
        building: IndexBuildState | None = getattr(_here, "building", None)
        if building is None:
            add(index, vectors)
            return
        # faiss counts the cores of the machine when it is loaded. More threads than cores of this
        # process would wait for each other actively.
        faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
        for start in range(0, len(vectors), _ROWS_PER_STEP):
            rows = vectors[start : start + _ROWS_PER_STEP]
            building.step(len(rows))
            add(index, rows)

    add_in_steps.in_steps = True  # type: ignore[attr-defined]
    return add_in_steps
