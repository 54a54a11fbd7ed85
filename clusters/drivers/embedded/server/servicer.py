"""Milvus servicer with auto ids, filter templates, automatic index types and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

import grpc
from milvus_lite.adapter.grpc.errors import to_status_kwargs
from milvus_lite.exceptions import MilvusLiteError
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from clusters.drivers.embedded.server import auto_ids, expressions, indexing, key_order
from clusters.drivers.embedded.server.control import ControlError
from clusters.drivers.embedded.server.databases import target_database_of
from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks
from clusters.drivers.embedded.server.maintenance import MaintenanceServicer
from clusters.drivers.embedded.server.refusals import refused
from clusters.drivers.embedded.server.tenant_snapshots import RestoreJob, TenantSnapshots
from clusters.drivers.embedded.server.timestamps import HybridClock
from clusters.milvus_names import RESERVED_PREFIX

_ILLEGAL_ARGUMENT = 6


class Servicer(MaintenanceServicer):
    """Implementation of the methods. The gateway has checked names, locks and permissions."""

    def __init__(self, engine: Engine, locks: CollectionLocks, snapshots: TenantSnapshots) -> None:
        super().__init__(engine, locks)
        self._snapshots = snapshots
        self._clock = HybridClock()

    def AllocTimestamp(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return milvus_pb2.AllocTimestampResponse(
            status=common_pb2.Status(), timestamp=self._clock.next()
        )

    def GetLoadingProgress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Report a refresh as finished, because a loaded collection serves every written row."""
        answer = super().GetLoadingProgress(request, context)
        answer.refresh_progress = answer.progress
        return answer

    def Insert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._reserve_ids(request, context)
        return super().Insert(request, context)

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Replace whole rows. Only a partial update keeps the fields that the request omits."""
        self._reserve_ids(request, context)
        if request.partial_update:
            return super().Upsert(request, context)
        answer = super().Insert(request, context)
        answer.upsert_cnt, answer.insert_cnt = answer.insert_cnt, 0
        return answer

    # Filters with template values

    def Query(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if refusal := self._prepare_filter("Query", request, "expr"):
            return refusal
        if any(pair.key == "iterator" for pair in request.query_params):
            self._quote_cursor(request, context)
            with key_order.in_key_order():
                return super().Query(request, context)
        return super().Query(request, context)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        refusal = self._prepare_filter("Delete", request, "expr")
        return refusal or super().Delete(request, context)

    def Search(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self._prepare_filter("Search", request, "dsl") or super().Search(request, context)

    def HybridSearch(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        for route in request.requests:
            if refusal := self._prepare_filter("HybridSearch", route, "dsl"):
                return refusal
        return super().HybridSearch(request, context)

    def _prepare_filter(self, method: str, request: Any, field: str) -> Any | None:
        if not request.expr_template_values:
            return None
        try:
            filled = expressions.with_values(getattr(request, field), request.expr_template_values)
        except expressions.NoSuchValue as error:
            return refused(method, str(error), code=_ILLEGAL_ARGUMENT, error_code=_ILLEGAL_ARGUMENT)
        setattr(request, field, filled)
        return None

    def _quote_cursor(self, request: Any, context: grpc.ServicerContext) -> None:
        database = self._database_name(request, context)
        collection = self._db.opened(request.collection_name, database)
        if collection is not None:
            request.expr = expressions.with_quoted_cursor(
                request.expr,
                collection.pk_field,
                lambda key: collection._get_raw(key) is not None,
            )

    def CreateIndex(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._choose_index(request, context)
        with self._while_client_waits(request, context):
            return super().CreateIndex(request, context)

    def _choose_index(self, request: Any, context: grpc.ServicerContext) -> None:
        database = self._database_name(request, context)
        collection = self._db.opened(request.collection_name, database)
        pairs = [pair for pair in request.extra_params if pair.key == "index_type"]
        is_automatic = not pairs or pairs[0].value.upper() in ("", "AUTOINDEX", "SPARSE_WAND")
        if collection is None or not is_automatic:
            return
        if index_type := indexing.automatic_type(collection, request.field_name):
            for pair in pairs:
                request.extra_params.remove(pair)
            request.extra_params.add(key="index_type", value=index_type)

    def DescribeIndex(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Report index builds in progress, which the engine reports as finished."""
        answer = super().DescribeIndex(request, context)
        collection = self._db.opened(request.collection_name, self._database_name(request, context))
        for index in answer.index_descriptions if collection is not None else ():
            if progress := indexing.awaited_progress(collection, index.field_name):
                index.state = common_pb2.IndexState.InProgress
                index.indexed_rows, index.total_rows = progress
                index.pending_index_rows = index.total_rows - index.indexed_rows
        return answer

    def LoadCollection(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._while_client_waits(request, context):
            return super().LoadCollection(request, context)

    def _while_client_waits(
        self, request: Any, context: grpc.ServicerContext
    ) -> AbstractContextManager[None]:
        """Cancel index builds of a restore when the client leaves. Builds of tenants continue."""
        name, database = request.collection_name, self._database_name(request, context)
        collection = self._db.opened(name, database) if name.startswith(RESERVED_PREFIX) else None
        if collection is None:
            return nullcontext()
        return indexing.wanted_while(collection, context.is_active)

    def _reserve_ids(self, request: Any, context: grpc.ServicerContext) -> None:
        database = self._database_name(request, context)
        if self._db.has_database(database) and self._db.has_collection(
            request.collection_name, database
        ):
            collection = self._db.get_collection(request.collection_name, database)
            auto_ids.reserve_ids(collection, request.fields_data, request.num_rows)

    def RenameCollection(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        database = self._database_name(request, context)
        if request.newDBName not in ("", database):
            return refused(
                "RenameCollection",
                "Moving a collection to another database is not available in an embedded cluster. "
                f"Create the collection in {request.newDBName!r} and insert the rows there, or "
                "restore a backup into that database.",
            )
        old = self._db.key(request.oldName, database)
        status = super().RenameCollection(request, context)
        if not status.code:
            self._snapshots.follow_rename(old, (old[0], request.newName))
        return status

    # Snapshots of one collection

    def CreateSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def create() -> None:
            self._snapshots.create(
                request.name,
                database=self._database_name(request, context),
                collection=request.collection_name,
                description=request.description,
            )

        return _status_of(create)

    def DropSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return _status_of(
            lambda: self._snapshots.drop(
                request.name,
                database=self._database_name(request, context),
                collection=request.collection_name,
            )
        )

    def ListSnapshots(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        names = self._snapshots.titles(
            database=self._database_name(request, context), collection=request.collection_name
        )
        return milvus_pb2.ListSnapshotsResponse(status=common_pb2.Status(), snapshots=names)

    def DescribeSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        answer = milvus_pb2.DescribeSnapshotResponse()

        def describe() -> None:
            snapshot = self._snapshots.find(
                request.name,
                database=self._database_name(request, context),
                collection=request.collection_name,
            )
            (collection,) = snapshot["collections"]
            answer.name, answer.description = snapshot["title"], snapshot["description"]
            answer.collection_name = collection["name"]
            answer.partition_names.extend(collection["partitions"])
            answer.create_ts = int(
                datetime.fromisoformat(snapshot["created_at"]).timestamp() * 1000
            )

        answer.status.CopyFrom(_status_of(describe))
        return answer

    def RestoreSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answer when the collection is restored. Hard links take moments for any size."""
        answer = milvus_pb2.RestoreSnapshotResponse()

        def restore() -> None:
            source = self._database_name(request, context)
            job = self._snapshots.restore(
                request.name,
                source=(source, request.collection_name),
                target=(target_database_of(request, context), request.target_collection_name),
            )
            answer.job_id = job.number

        answer.status.CopyFrom(_status_of(restore))
        return answer

    def GetRestoreSnapshotState(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        answer = milvus_pb2.GetRestoreSnapshotStateResponse()
        answer.status.CopyFrom(
            _status_of(lambda: answer.info.CopyFrom(_info(self._snapshots.job(request.job_id))))
        )
        return answer

    def ListRestoreSnapshotJobs(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        jobs = self._snapshots.jobs(
            database=self._database_name(request, context), collection=request.collection_name
        )
        return milvus_pb2.ListRestoreSnapshotJobsResponse(
            status=common_pb2.Status(), jobs=[_info(job) for job in jobs]
        )


def _info(job: RestoreJob) -> Any:
    return milvus_pb2.RestoreSnapshotInfo(
        job_id=job.number,
        snapshot_name=job.snapshot,
        db_name=job.database,
        collection_name=job.collection,
        state=milvus_pb2.RestoreSnapshotCompleted,
        progress=100,
        start_time=job.started_at_milliseconds,
        time_cost=int(job.seconds * 1000),
    )


def _status_of(action: Callable[[], None]) -> Any:
    try:
        action()
    except ControlError as error:
        return common_pb2.Status(
            error_code=_ILLEGAL_ARGUMENT, code=_ILLEGAL_ARGUMENT, reason=str(error)
        )
    except MilvusLiteError as error:
        return common_pb2.Status(**to_status_kwargs(error))
    return common_pb2.Status()
