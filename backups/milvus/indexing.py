"""Phase *indexing*: build the indexes of a restored collection and report progress."""

from __future__ import annotations

from collections.abc import Callable

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import CollectionDescription
from backups.milvus import create
from backups.milvus.client import Client
from backups.milvus.errors import Refused
from backups.milvus.offers import offers_index
from backups.milvus.polling import pauses, polls
from backups.milvus.snapshot import SnapshotControl

_BUILD_TIMEOUT_SECONDS = 7 * 24 * 3600.0
"""Long, because progress is watched and a deadline would only restart the build."""

ReportIndexed = Callable[[int, int], None]
"""Called with indexed rows and rows to index, over all indexes. An exception ends the wait."""


class IndexBuild:
    def __init__(
        self,
        client: Client,
        control: SnapshotControl | None,
        collection: CollectionDescription,
        name: str,
    ) -> None:
        self._client = client
        self._control = control
        self._collection = collection
        self._name = name
        self.refused: list[str] = []
        """Warnings about indexes that could not be built. They do not fail the restore."""

    def run(self, report: ReportIndexed) -> None:
        """Return when all indexes are built, including those that an earlier attempt started."""
        existing = create.index_names(self._client, self._name)
        if self._control is None:
            self._create_missing(existing, report)
            self._wait_until_built(report)
            return
        indexed, total = self.progress() if existing else (0, 0)
        if indexed < total:
            # the embedded engine builds missing indexes at a load
            create.release(self._client, self._name)
            request = milvus_pb2.LoadCollectionRequest(collection_name=self._name, replica_number=1)
            self._call_and_report("LoadCollection", request, report)
        self._create_missing(existing, report)

    def progress(self) -> tuple[int, int]:
        if self._control is None:
            return create.index_progress(self._client, self._name)
        answer = self._control.call(
            "IndexProgress", database=self._client.endpoint.database, collection=self._name
        )
        return int(answer["indexed"]), int(answer["total"])

    def _create_missing(self, existing: frozenset[str], report: ReportIndexed) -> None:
        """Create the missing indexes. The embedded engine builds an index before it answers."""
        server, collection = self._client.server(), self._collection
        for index in collection.indexes:
            if not offers_index(server, collection, index):
                continue
            if create.index_name(self._client, index) not in existing:
                request = create.index_request(self._client, index, self._name)
                try:
                    self._call_and_report("CreateIndex", request, report)
                except Refused as error:
                    self.refused.append(
                        f"{collection.name}: restored without the index of {index.field_name!r}, "
                        f"which could not be built: {error}"
                    )

    def _call_and_report(self, method: str, request: object, report: ReportIndexed) -> None:
        pending = self._client.begin(method, request, seconds=_BUILD_TIMEOUT_SECONDS)
        try:
            for pause in pauses():
                if pending.wait(pause):
                    break
                report(*self.progress())
        except BaseException:
            pending.cancel()
            raise
        pending()

    def _wait_until_built(self, report: ReportIndexed) -> None:
        for _ in polls():
            done, total = self.progress()
            if done >= total:
                return
            report(done, total)
