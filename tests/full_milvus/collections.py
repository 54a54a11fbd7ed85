"""Collections with every type of field that Milvus 2.3.5 has."""

from __future__ import annotations

from typing import Any

from pymilvus import DataType, MilvusClient

from backups.milvus.client import Client
from backups.milvus.schema import describe
from backups.milvus.wire import WireScan
from tests.milvus.generated import NASTY
from tests.milvus.rooms import by_partition

ROWS = 200
KEYS = [*NASTY, *(f"key {number}" for number in range(ROWS))]


def make_wide(tenant: MilvusClient, name: str) -> str:
    """A loaded collection of all types, with partitions, an alias and an index over bits."""
    schema = tenant.create_schema(enable_dynamic_field=True, description="every type")
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("bits", DataType.BINARY_VECTOR, dim=16)
    for field, data_type in (
        ("flag", DataType.BOOL),
        ("tiny", DataType.INT8),
        ("small", DataType.INT16),
        ("medium", DataType.INT32),
        ("large", DataType.INT64),
        ("single", DataType.FLOAT),
        ("double", DataType.DOUBLE),
        ("document", DataType.JSON),
    ):
        schema.add_field(field, data_type, description=f"a {field} value")
    schema.add_field("text", DataType.VARCHAR, max_length=50)
    arrays = {"datatype": DataType.ARRAY, "max_capacity": 8}
    schema.add_field("numbers", element_type=DataType.INT16, **arrays)
    schema.add_field("flags", element_type=DataType.BOOL, **arrays)
    schema.add_field("doubles", element_type=DataType.DOUBLE, **arrays)
    schema.add_field("words", element_type=DataType.VARCHAR, max_length=20, **arrays)
    tenant.create_collection(name, schema=schema, consistency_level="Session")
    tenant.create_partition(name, "other")
    parameters = tenant.prepare_index_params()
    options = {"index_type": "BIN_IVF_FLAT", "metric_type": "JACCARD", "params": {"nlist": 8}}
    parameters.add_index("bits", index_name="by_bits", **options)
    tenant.create_index(name, parameters)
    tenant.create_alias(name, f"{name}_alias")
    rows = [_wide_row(number, key) for number, key in enumerate(KEYS)]
    tenant.insert(name, rows[: ROWS // 2])
    tenant.insert(name, rows[ROWS // 2 :], partition_name="other")
    tenant.load_collection(name)
    return name


def _wide_row(number: int, key: str) -> dict[str, Any]:
    dynamic = {"note": {"é": number}, "also": [number]} if number % 2 else {}
    return {
        "id": key,
        "bits": bytes([number % 256, 255 - number % 256]),
        "flag": bool(number % 3),
        "tiny": number % 100 - 50,
        "small": 32767 - number,
        "medium": -(2**31) + number,
        "large": 2**63 - 1 - number,
        "single": number / 7,
        "double": 1e300 / (number + 1),
        "document": {"a": [1, 2.5, None], "n": number},
        "text": f"ü{number}",
        "numbers": list(range(number % 5)),
        "flags": [True, False][: number % 3],
        "doubles": [number / 3] * (number % 4),
        "words": ["", "ü"][: number % 3],
        **dynamic,
    }


def make_keyed(tenant: MilvusClient, name: str) -> str:
    """A released collection of float vectors with a partition key and an HNSW index."""
    schema = tenant.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("of", DataType.VARCHAR, max_length=9, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    tenant.create_collection(name, schema=schema, num_partitions=4)
    tenant.insert(name, [{"id": n, "of": f"t{n % 9}", "vector": [n / 3] * 8} for n in range(ROWS)])
    parameters = tenant.prepare_index_params()
    options = {"index_type": "HNSW", "metric_type": "IP", "params": {"M": 8, "efConstruction": 32}}
    parameters.add_index("vector", **options)
    tenant.create_index(name, parameters)
    return name


def content(client: Client, name: str) -> tuple[Any, dict[str | None, str]]:
    """The description and the checksums of the rows of a collection that is loaded."""
    description = describe(client, name)
    return description, by_partition(WireScan(client, description).batches())
