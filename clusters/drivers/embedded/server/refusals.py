"""Milvus methods that an embedded cluster does not offer, and the sentences that refuse them."""

from __future__ import annotations

from typing import Any

from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

SERVICE = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
METHODS = SERVICE.methods_by_name

_UNIMPLEMENTED = 10
"""The code of Milvus itself for a method that a server does not offer."""

_ACCESS = (
    "Users, roles and privileges are not available in an embedded cluster. Its token opens all of "
    "it: connect with MilvusClient(uri, token=...), and rotate the token in the console to shut "
    "others out."
)
_TAGS = (
    "User tags and row policies are not available in an embedded cluster, because it has no users. "
    "Use one collection or one cluster for each group of readers."
)
_NODES = (
    "Resource groups, nodes and replicas are not available in an embedded cluster: it is one "
    "process. Scale the cluster in the console to give it more cores."
)
_SCHEMA = (
    "The schema of a collection is fixed in an embedded cluster. Create a collection with the "
    "wanted schema and insert the rows into it, or set enable_dynamic_field=True when you create "
    "it: rows then take further fields without a change of schema."
)
_INDEX = (
    "Properties of an index cannot be altered in an embedded cluster. Release the collection, drop "
    "the index, and create it with the wanted parameters."
)
_IMPORT = (
    "Files are not imported by an embedded cluster. Read the file and send its rows with insert."
)
_PARTITIONS = (
    "Partitions are loaded and released with their collection in an embedded cluster. Call "
    "load_collection or release_collection, and name partitions in the search."
)
_REPLICATION = (
    "Replication between clusters is not available in an embedded cluster. Back up the cluster in "
    "the console and restore the backup into another one."
)
_FILES = (
    "File resources are not available in an embedded cluster. Write stop words into "
    "analyzer_params: they need no file."
)
_EXTERNAL = (
    "External collections and snapshots are not available in an embedded cluster: it reads no "
    "object storage. Insert the rows, or restore a backup in the console."
)
_EXPORT = (
    "Snapshots are not exported by an embedded cluster: it writes to no object storage. Back up "
    "the collection in the console and download the backup."
)
_NAMESPACES = (
    "Namespaces are not available in an embedded cluster. Use partitions, a partition key, or "
    "databases to separate rows."
)
_PREWARM = (
    "Prewarming is not available in an embedded cluster: load_collection reads all indexes into "
    "memory. Call load_collection."
)
_INSIDES = (
    "Segments, nodes and metrics of the server are not shown by an embedded cluster. Call "
    "get_collection_stats for the number of rows; the console shows state and load of the cluster."
)
_PLANS = (
    "Plans of compactions are not kept by an embedded cluster. Call get_compaction_state with the "
    "number that compact() returned."
)
_PINS = (
    "Snapshots of an embedded cluster keep their files until they are dropped, so that nothing has "
    "to be pinned. Call drop_snapshot when you no longer need the snapshot."
)
_DISTANCE = (
    "Distances are not calculated by the server. Calculate them in the client, or search with the "
    "vectors."
)
_SLOP = (
    "Phrases are not matched by an embedded cluster. Use text_match in a filter, or a search with "
    "a BM25 function."
)

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        (
            "CreateCredential",
            "UpdateCredential",
            "DeleteCredential",
            "ListCredUsers",
            "CreateRole",
            "AlterRole",
            "DropRole",
            "OperateUserRole",
            "SelectRole",
            "SelectUser",
            "OperatePrivilege",
            "OperatePrivilegeV2",
            "SelectGrant",
            "BackupRBAC",
            "RestoreRBAC",
            "CreatePrivilegeGroup",
            "DropPrivilegeGroup",
            "ListPrivilegeGroups",
            "OperatePrivilegeGroup",
        ),
        _ACCESS,
    ),
    **dict.fromkeys(
        (
            "AddUserTags",
            "DeleteUserTags",
            "GetUserTags",
            "ListUsersWithTag",
            "CreateRowPolicy",
            "DropRowPolicy",
            "ListRowPolicies",
        ),
        _TAGS,
    ),
    **dict.fromkeys(
        (
            "CreateResourceGroup",
            "DropResourceGroup",
            "UpdateResourceGroups",
            "TransferNode",
            "TransferReplica",
            "ListResourceGroups",
            "DescribeResourceGroup",
            "LoadBalance",
            "GetReplicas",
        ),
        _NODES,
    ),
    **dict.fromkeys(
        (
            "AlterCollectionField",
            "AlterCollectionSchema",
            "AddCollectionField",
            "AddCollectionStructField",
            "AddCollectionFunction",
            "AlterCollectionFunction",
            "DropCollectionFunction",
        ),
        _SCHEMA,
    ),
    "AlterIndex": _INDEX,
    **dict.fromkeys(("Import", "GetImportState", "ListImportTasks"), _IMPORT),
    **dict.fromkeys(("LoadPartitions", "ReleasePartitions"), _PARTITIONS),
    **dict.fromkeys(
        (
            "ReplicateMessage",
            "UpdateReplicateConfiguration",
            "GetReplicateConfiguration",
            "GetReplicateInfo",
            "CreateReplicateStream",
            "DumpMessages",
            "BatchUpdateManifest",
        ),
        _REPLICATION,
    ),
    **dict.fromkeys(("AddFileResource", "RemoveFileResource", "ListFileResources"), _FILES),
    **dict.fromkeys(
        (
            "RestoreExternalSnapshot",
            "RefreshExternalCollection",
            "GetRefreshExternalCollectionProgress",
            "ListRefreshExternalCollectionJobs",
        ),
        _EXTERNAL,
    ),
    **dict.fromkeys(("ExportSnapshot", "GetExportSnapshotState"), _EXPORT),
    **dict.fromkeys(
        (
            "CreateNamespace",
            "DescribeNamespace",
            "ListNamespaces",
            "DropNamespace",
            "HasNamespace",
            "GetNamespaceStats",
        ),
        _NAMESPACES,
    ),
    **dict.fromkeys(("Prewarm", "DescribePrewarmTask"), _PREWARM),
    **dict.fromkeys(
        (
            "Dummy",
            "RegisterLink",
            "GetMetrics",
            "GetComponentStates",
            "ListIndexedSegment",
            "DescribeSegmentIndexData",
            "GetPersistentSegmentInfo",
            "GetQuerySegmentInfo",
        ),
        _INSIDES,
    ),
    "GetCompactionStateWithPlans": _PLANS,
    **dict.fromkeys(("PinSnapshotData", "UnpinSnapshotData"), _PINS),
    "CalcDistance": _DISTANCE,
    "ComputePhraseMatchSlop": _SLOP,
}


def reason_for_refusing(method: str, servicer: type) -> str | None:
    """Return the sentence that refuses this method, None if the servicer offers it."""
    if method in REFUSED:
        return REFUSED[method]
    if getattr(servicer, method) is getattr(milvus_pb2_grpc.MilvusServiceServicer, method):
        return (
            f"{method} is not available in an embedded cluster. docs/sdk.md lists the methods that "
            "are."
        )
    return None


def refused(method: str, reason: str, *, code: int = _UNIMPLEMENTED, error_code: int = 1) -> Any:
    """Build this method's answer with a failed status, None if its answer has no status."""
    status = common_pb2.Status(reason=reason, code=code, error_code=error_code)
    answer = GetMessageClass(METHODS[method].output_type)
    if answer is common_pb2.Status:
        return status
    fields = [field for field in answer.DESCRIPTOR.fields if _is_status(field)]
    return answer(**{fields[0].name: status}) if fields else None


def _is_status(field: Any) -> bool:
    return field.message_type is common_pb2.Status.DESCRIPTOR
