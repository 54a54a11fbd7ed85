"""The engine's own servicer, with what it leaves to a server: auto ids and snapshots."""

from __future__ import annotations

from typing import Any

import grpc
from milvus_lite.adapter.grpc.servicer import MilvusServicer

from clusters.drivers.embedded import auto_ids


class Servicer(MilvusServicer):  # type: ignore[misc]
    """Locks, names and rights are the gateway's; here is only what the methods do."""

    def Insert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._stand_above_given_keys(request, context)
        return super().Insert(request, context)

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._stand_above_given_keys(request, context)
        return super().Upsert(request, context)

    def _stand_above_given_keys(self, request: Any, context: grpc.ServicerContext) -> None:
        database = self._database_name(request, context)
        if self._db.has_database(database) and self._db.has_collection(
            request.collection_name, database
        ):
            collection = self._db.get_collection(request.collection_name, database)
            auto_ids.stand_above_given_keys(collection, request.fields_data)
