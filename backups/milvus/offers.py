from __future__ import annotations

from collections.abc import Iterator

from backups.archive.description import CollectionDescription, DataType, IndexDescription
from backups.milvus.server import ServerInfo

_FIELDS_NOT_EMBEDDED = frozenset(
    [
        DataType.TEXT,
        DataType.BINARY_VECTOR,
        DataType.FLOAT16_VECTOR,
        DataType.BFLOAT16_VECTOR,
        DataType.INT8_VECTOR,
    ]
)
_FIELDS_SINCE: dict[DataType, tuple[int, ...]] = {
    DataType.ARRAY: (2, 3, 2),
    DataType.FLOAT16_VECTOR: (2, 4, 0),
    DataType.BFLOAT16_VECTOR: (2, 4, 0),
    DataType.SPARSE_FLOAT_VECTOR: (2, 4, 0),
    DataType.INT8_VECTOR: (2, 6, 0),
    DataType.GEOMETRY: (2, 6, 0),
    DataType.TIMESTAMPTZ: (2, 6, 0),
    DataType.TEXT: (2, 6, 0),
}

_EMBEDDED_VECTOR = frozenset(
    ["AUTOINDEX", "BRUTE_FORCE", "FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8"]
)
_EMBEDDED_SPARSE = frozenset(["SPARSE_INVERTED_INDEX"])
_EMBEDDED_SCALAR = frozenset(["INVERTED"])
_NOT_FULL = frozenset(["BRUTE_FORCE"])
_FULL_SINCE: dict[str, tuple[int, ...]] = {
    "SCANN": (2, 3, 0),
    "INVERTED": (2, 4, 0),
    "SPARSE_INVERTED_INDEX": (2, 4, 0),
    "SPARSE_WAND": (2, 4, 0),
    "BITMAP": (2, 5, 0),
    "HNSW_SQ": (2, 5, 0),
    "HNSW_PQ": (2, 5, 0),
    "HNSW_PRQ": (2, 5, 0),
    "IVF_RABITQ": (2, 6, 0),
    "MINHASH_LSH": (2, 6, 0),
    "NGRAM": (2, 6, 0),
    "RTREE": (2, 6, 0),
}


def offers_field(server: ServerInfo, data_type: DataType) -> bool:
    if server.is_embedded:
        return data_type not in _FIELDS_NOT_EMBEDDED
    return server.number >= _FIELDS_SINCE.get(data_type, (0, 0, 0))


def offers_index(
    server: ServerInfo, collection: CollectionDescription, index: IndexDescription
) -> bool:
    kind = type_of(index)
    if not server.is_embedded:
        return kind not in _NOT_FULL and server.number >= _FULL_SINCE.get(kind, (0, 0, 0))
    data_type = _data_type(collection, index)
    if data_type is DataType.SPARSE_FLOAT_VECTOR:
        return kind in _EMBEDDED_SPARSE
    return kind in (_EMBEDDED_VECTOR if is_vector(data_type) else _EMBEDDED_SCALAR)


def lacking(server: ServerInfo, collection: CollectionDescription) -> Iterator[IndexDescription]:
    return (index for index in collection.indexes if not offers_index(server, collection, index))


def is_on_vector(collection: CollectionDescription, index: IndexDescription) -> bool:
    return is_vector(_data_type(collection, index))


def is_vector(data_type: DataType | None) -> bool:
    return data_type is not None and data_type.endswith("_VECTOR")


def type_of(index: IndexDescription) -> str:
    return index.params.get("index_type", "").upper()


def _data_type(collection: CollectionDescription, index: IndexDescription) -> DataType | None:
    """Return the type of the indexed field, or None for an index on a JSON path."""
    types = {field.name: field.data_type for field in collection.fields}
    return types.get(index.field_name)
