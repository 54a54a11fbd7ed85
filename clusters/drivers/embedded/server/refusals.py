"""Milvus methods that an embedded cluster does not offer, and the messages of their refusals."""

from __future__ import annotations

from typing import Any

from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

SERVICE = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
METHODS = SERVICE.methods_by_name

_UNIMPLEMENTED = 10
"""Milvus' code for a method that the server does not offer."""

_ACCESS = (
    "Users, roles and privileges are not available in an embedded cluster. Its token grants full "
    "access: connect with MilvusClient(uri, token=...), and rotate the token in the console to "
    "revoke access."
)
_TAGS = (
    "User tags and row policies are not available in an embedded cluster, because it has no users. "
    "Use one collection or one cluster for each group of readers."
)
_NODES = (
    "Resource groups, nodes and replicas are not available in an embedded cluster, which is a "
    "single process. Scale the cluster in the console to give it more cores."
)
_SCHEMA = (
    "The schema of a collection cannot be changed in an embedded cluster. Create a collection with "
    "the new schema and insert the rows into it. With enable_dynamic_field=True, rows can have "
    "further fields without a change of the schema."
)
_INDEX = (
    "Properties of an index cannot be altered in an embedded cluster. Release the collection, drop "
    "the index, and create it with the new parameters."
)
_IMPORT = (
    "Importing files is not available in an embedded cluster. Read the file in the client and "
    "insert its rows."
)
_PARTITIONS = (
    "Loading and releasing single partitions is not available in an embedded cluster. Call "
    "load_collection or release_collection, and name the partitions in the search."
)
_REPLICATION = (
    "Replication between clusters is not available in an embedded cluster. Back up the cluster in "
    "the console and restore the backup into another one."
)
_FILES = (
    "File resources are not available in an embedded cluster. Write stop words into "
    "analyzer_params."
)
_EXTERNAL = (
    "External collections and external snapshots are not available in an embedded cluster, "
    "because it does not read object storage. Insert the rows, or restore a backup in the console."
)
_EXPORT = (
    "Exporting snapshots is not available in an embedded cluster, because it does not write to "
    "object storage. Back up the collection in the console and download the backup."
)
_NAMESPACES = (
    "Namespaces are not available in an embedded cluster. Use partitions, a partition key, or "
    "databases to separate rows."
)
_PREWARM = (
    "Prewarming is not available in an embedded cluster. Call load_collection, which reads all "
    "indexes into memory."
)
_INSIDES = (
    "Information about segments, nodes and server metrics is not available in an embedded cluster. "
    "Call get_collection_stats for the number of rows. The console shows the state and load of the "
    "cluster."
)
_PLANS = (
    "Compaction plans are not available in an embedded cluster. Call get_compaction_state with the "
    "number that compact() returned."
)
_PINS = (
    "Pinning snapshots is not available in an embedded cluster, because a snapshot keeps its files "
    "until it is dropped. Call drop_snapshot when you no longer need the snapshot."
)
_DISTANCE = (
    "Calculating distances is not available in an embedded cluster. Calculate them in the client, "
    "or search with the vectors."
)
_SLOP = (
    "Phrase matching is not available in an embedded cluster. Use text_match in a filter, or a "
    "search with a BM25 function."
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
    """Return the message that refuses this method, or None if the servicer offers it."""
    if method in REFUSED:
        return REFUSED[method]
    if getattr(servicer, method) is getattr(milvus_pb2_grpc.MilvusServiceServicer, method):
        return (
            f"{method} is not available in an embedded cluster. See docs/sdk.md for the available "
            "methods."
        )
    return None


def refused(method: str, reason: str, *, code: int = _UNIMPLEMENTED, error_code: int = 1) -> Any:
    """Build this method's answer with a failed status. Returns None if the answer has no status."""
    status = common_pb2.Status(reason=reason, code=code, error_code=error_code)
    answer = GetMessageClass(METHODS[method].output_type)
    if answer is common_pb2.Status:
        return status
    fields = [
        field
        for field in answer.DESCRIPTOR.fields
        if field.message_type is common_pb2.Status.DESCRIPTOR
    ]
    return answer(**{fields[0].name: status}) if fields else None
