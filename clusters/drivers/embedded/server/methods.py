"""Properties of Milvus' methods for the gateway, as data. Methods not listed are writers."""

from __future__ import annotations

NAME_FIELDS = (
    "collection_name",
    "collection_names",
    "collectionName",
    "target_collection_name",
    "oldName",
    "newName",
    "alias",
)
"""Fields of requests that name collections."""

NEW_NAMES = {
    "CreateCollection": "collection_name",
    "RenameCollection": "newName",
    "CreateAlias": "alias",
    "AlterAlias": "alias",
    "RestoreSnapshot": "target_collection_name",
}
"""Methods that create a name, and the field of the name."""

UNCOUNTED = frozenset(["Connect", "GetVersion", "CheckHealth", "AllocTimestamp"])
"""Small methods that need no permit."""

BUILDS = frozenset(
    [
        "CreateIndex",
        "DropCollection",
        "DropIndex",
        "LoadCollection",
        "LoadPartitions",
        "RenameCollection",
        "TruncateCollection",
    ]
)
"""Methods that build indexes, or wait for index builds in the background."""

LONG = BUILDS | frozenset(
    [
        "CreateSnapshot",
        "DropDatabase",
        "DropPartition",
        "DropSnapshot",
        "Flush",
        "FlushAll",
        "Import",
        "ManualCompaction",
        "RestoreSnapshot",
    ]
)
"""Methods that can take long. They need no permit."""

WRITE_ROWS = frozenset(["Insert", "Upsert", "Delete"])
BULK_BYTES = 256 * 1024
"""Requests above this size that write rows use permits of their own."""

CHANGE_LOAD_STATE = frozenset(["LoadCollection", "ReleaseCollection", "DropIndex", "CreateIndex"])

READ_ROWS = frozenset(
    ["Query", "Search", "HybridSearch", "GetCollectionStatistics", "GetPartitionStatistics"]
)
"""Readers that pass the read gate."""

READERS = frozenset(
    [
        "HasCollection",
        "DescribeCollection",
        "BatchDescribeCollection",
        "GetCollectionStatistics",
        "ShowCollections",
        "HasPartition",
        "GetPartitionStatistics",
        "ShowPartitions",
        "GetLoadingProgress",
        "GetLoadState",
        "DescribeAlias",
        "ListAliases",
        "DescribeIndex",
        "GetIndexStatistics",
        "GetIndexState",
        "GetIndexBuildProgress",
        "Search",
        "HybridSearch",
        "Query",
        "GetFlushState",
        "GetFlushAllState",
        "GetRestoreSnapshotState",
        "ListRestoreSnapshotJobs",
        "GetCompactionState",
        "ManualCompaction",
        "ListDatabases",
        "DescribeDatabase",
        "ListSnapshots",
        "DescribeSnapshot",
        "RunAnalyzer",
    ]
)
