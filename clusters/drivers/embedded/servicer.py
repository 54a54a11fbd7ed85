"""The engine's own servicer, with what it leaves to a server: auto ids and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

import grpc
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from clusters.drivers.embedded import auto_ids, indexing
from clusters.drivers.embedded.control import ControlError
from clusters.drivers.embedded.engine import Engine
from clusters.drivers.embedded.methods import RESERVED
from clusters.drivers.embedded.snapshots import Snapshots

_ILLEGAL_ARGUMENT = 6


class Servicer(MilvusServicer):  # type: ignore[misc]
    """Locks, names and rights are the gateway's; here is only what the methods do."""

    def __init__(self, engine: Engine, snapshots: Snapshots) -> None:
        super().__init__(engine)
        self._snapshots = snapshots

    def Insert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._stand_above_given_keys(request, context)
        return super().Insert(request, context)

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._stand_above_given_keys(request, context)
        return super().Upsert(request, context)

    def CreateIndex(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._while_somebody_waits(request, context):
            return super().CreateIndex(request, context)

    def LoadCollection(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._while_somebody_waits(request, context):
            return super().LoadCollection(request, context)

    def _while_somebody_waits(
        self, request: Any, context: grpc.ServicerContext
    ) -> AbstractContextManager[None]:
        """What a restore builds is worth nothing without it; a tenant's index is built to its end,
        as a server would.
        """
        name, database = request.collection_name, self._database_name(request, context)
        collection = self._db.opened(name, database) if name.startswith(RESERVED) else None
        if collection is None:
            return nullcontext()
        return indexing.wanted_while(collection, context.is_active)

    def _stand_above_given_keys(self, request: Any, context: grpc.ServicerContext) -> None:
        database = self._database_name(request, context)
        if self._db.has_database(database) and self._db.has_collection(
            request.collection_name, database
        ):
            collection = self._db.get_collection(request.collection_name, database)
            auto_ids.stand_above_given_keys(collection, request.fields_data)

    # Snapshots, as pymilvus 3.0 has them: of one collection, with names of the tenant's own

    def CreateSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        def create() -> None:
            self._snapshots.create(
                request.name,
                database=self._database_name(request, context),
                collections=[request.collection_name],
                description=request.description,
            )

        return _status_of(create)

    def DropSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return _status_of(lambda: self._snapshots.drop(request.name))

    def ListSnapshots(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        database = self._database_name(request, context)
        key = self._db.key(request.collection_name, database)
        known = map(self._snapshots.describe, self._snapshots.names())
        names = [each["name"] for each in known if not key[1] or _key_of(each) == key]
        return milvus_pb2.ListSnapshotsResponse(status=common_pb2.Status(), snapshots=names)

    def DescribeSnapshot(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        answer = milvus_pb2.DescribeSnapshotResponse()

        def describe() -> None:
            described = self._snapshots.describe(request.name)
            (collection,) = described["collections"]
            answer.name, answer.description = described["name"], described["description"]
            answer.collection_name = collection["name"]
            answer.partition_names.extend(collection["partitions"])
            answer.create_ts = _milliseconds(described["created_at"])

        answer.status.CopyFrom(_status_of(describe))
        return answer


def _status_of(do: Callable[[], None]) -> Any:
    try:
        do()
    except ControlError as error:
        return common_pb2.Status(
            error_code=_ILLEGAL_ARGUMENT, code=_ILLEGAL_ARGUMENT, reason=str(error)
        )
    return common_pb2.Status()


def _key_of(described: dict[str, Any]) -> tuple[str, str]:
    (collection,) = described["collections"]
    return collection["database"], collection["name"]


def _milliseconds(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp() * 1000)
