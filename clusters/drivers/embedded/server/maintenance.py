"""Flush, compaction, index state and analyzers: methods that the engine's servicer lacks."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import Future
from typing import Any

import grpc
from milvus_lite.adapter.grpc.errors import to_status_kwargs
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.analyzer.factory import create_analyzer
from milvus_lite.exceptions import MilvusLiteError
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from clusters.drivers.embedded.server.engine import Engine
from clusters.drivers.embedded.server.locking import CollectionLocks, Key
from clusters.drivers.embedded.server.refusals import refused
from clusters.drivers.embedded.server.unsupported import analyzer_refusal

_MAX_COMPACTIONS = 1_000
_ILLEGAL_ARGUMENT = {"code": 6, "error_code": 6}


class MaintenanceServicer(MilvusServicer):  # type: ignore[misc]
    """Methods for one engine. Compactions are not kept over a restart."""

    def __init__(self, engine: Engine, locks: CollectionLocks) -> None:
        super().__init__(engine)
        self._locks = locks
        self._compactions: dict[int, Future[None]] = {}
        self._compaction_ids = itertools.count(1)
        self._noting = threading.Lock()

    def BatchDescribeCollection(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        described = [
            self.DescribeCollection(
                milvus_pb2.DescribeCollectionRequest(db_name=request.db_name, collection_name=name),
                context,
            )
            for name in request.collection_name
        ]
        return milvus_pb2.BatchDescribeCollectionResponse(
            status=common_pb2.Status(), responses=described
        )

    # Flush

    def FlushAll(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Lock one collection at a time, so that writers of the others continue."""
        keys: list[Key] = self._db.keys()
        for key in keys:
            self._flush(key)
        return milvus_pb2.FlushAllResponse(status=common_pb2.Status())

    def _flush(self, key: Key) -> None:
        database, name = key
        with self._locks.held(lambda: [key]):
            if self._db.has_collection(name, database):
                self._db.get_collection(name, database).flush()

    def GetFlushAllState(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Report True, because FlushAll answers after the flush."""
        return milvus_pb2.GetFlushAllStateResponse(status=common_pb2.Status(), flushed=True)

    # Compaction

    def ManualCompaction(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Queue a compaction and index builds behind the running background work."""
        try:
            collection = self._get_collection(request, context)
        except MilvusLiteError as error:
            return milvus_pb2.ManualCompactionResponse(
                status=common_pb2.Status(**to_status_kwargs(error))
            )
        compaction = collection._bg_executor.submit(collection._bg_compact_and_index)
        with self._noting:
            number = next(self._compaction_ids)
            self._compactions[number] = compaction
            self._compactions.pop(number - _MAX_COMPACTIONS, None)
        return milvus_pb2.ManualCompactionResponse(
            status=common_pb2.Status(), compactionID=number, compactionPlanCount=1
        )

    def GetCompactionState(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        compaction = self._compactions.get(request.compactionID)
        if compaction is None:
            return refused(
                "GetCompactionState",
                f"Compaction {request.compactionID} does not exist since the cluster was started. "
                "Use the number that compact() returned.",
                **_ILLEGAL_ARGUMENT,
            )
        is_done = compaction.done()
        states = common_pb2.CompactionState
        return milvus_pb2.GetCompactionStateResponse(
            status=common_pb2.Status(),
            state=states.Completed if is_done else states.Executing,
            executingPlanNo=int(not is_done),
            completedPlanNo=int(is_done),
        )

    # Indexes

    def GetIndexState(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        described = self._described_index(request, context)
        state = described.index_descriptions[0].state if described.index_descriptions else 0
        return milvus_pb2.GetIndexStateResponse(status=described.status, state=state)

    def GetIndexBuildProgress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        described = self._described_index(request, context)
        answer = milvus_pb2.GetIndexBuildProgressResponse(status=described.status)
        for index in described.index_descriptions[:1]:
            answer.indexed_rows, answer.total_rows = index.indexed_rows, index.total_rows
        return answer

    def GetIndexStatistics(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        described = self._described_index(request, context)
        return milvus_pb2.GetIndexStatisticsResponse(
            status=described.status, index_descriptions=described.index_descriptions
        )

    def _described_index(self, request: Any, context: grpc.ServicerContext) -> Any:
        description = milvus_pb2.DescribeIndexRequest(
            db_name=request.db_name,
            collection_name=request.collection_name,
            index_name=request.index_name,
        )
        return self.DescribeIndex(description, context)

    # Analyzers

    def RunAnalyzer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        if request.with_detail or request.with_hash:
            return refused(
                "RunAnalyzer",
                "Offsets and hashes of tokens are not available in an embedded cluster. Call "
                "run_analyzer without with_detail and with_hash.",
                **_ILLEGAL_ARGUMENT,
            )
        if refusal := analyzer_refusal(request.analyzer_params or "{}"):
            return refused("RunAnalyzer", refusal, **_ILLEGAL_ARGUMENT)
        try:
            analyzer = create_analyzer(self._analyzer_parameters(request, context))
        except (MilvusLiteError, ValueError) as error:
            return refused("RunAnalyzer", str(error), **_ILLEGAL_ARGUMENT)
        answer = milvus_pb2.RunAnalyzerResponse(status=common_pb2.Status())
        for text in request.placeholder:
            tokens = [{"token": token} for token in analyzer.tokenize(text.decode())]
            answer.results.add(tokens=tokens)
        return answer

    def _analyzer_parameters(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the parameters of the request, or of the field that the request names."""
        if not request.collection_name:
            return json.loads(request.analyzer_params or "null")
        fields = self._get_collection(request, context).schema.fields
        named = [field for field in fields if field.name == request.field_name]
        if not named or not named[0].enable_analyzer:
            raise ValueError(
                f"Field {request.field_name!r} has no analyzer. Name a VARCHAR field that was "
                "created with enable_analyzer=True."
            )
        return named[0].analyzer_params
