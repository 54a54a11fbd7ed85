"""Indexes of a restored collection: asked for, watched until they are whole, left on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pymilvus.grpc_gen import milvus_pb2

from backups.archive.description import CollectionDescription, IndexDescription
from backups.milvus import create
from backups.milvus.client import Client, Pending
from backups.milvus.errors import Refused
from backups.milvus.offers import offers_index
from backups.milvus.polling import looks, pauses
from backups.milvus.snapshot import SnapshotControl

_PATIENT_SECONDS = 7 * 24 * 3600.0
"""Who watches a build sees whether it gets on; a deadline would only begin it anew."""

Say = Callable[[int, int], None]
"""Told of rows indexed and rows to index, over all indexes; what it raises ends the wait."""


class IndexBuild:
    """All indexes of one collection that its server offers."""

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
        """In words, which of them the server could not build: rows matter more than they do."""

    def run(self, say: Say) -> None:
        """Return when all are whole, also those that an attempt before began."""
        there = create.index_names(self._client, self._name)
        if self._control is None:
            self._ask(there, say)
            self._until_whole(say)
            return
        if there and self._is_unfinished():
            self._go_on(say)
        self._ask(there, say)

    def progress(self) -> tuple[int, int]:
        if self._control is None:
            return create.index_progress(self._client, self._name)
        found = self._control.call(
            "IndexProgress", database=self._client.endpoint.database, collection=self._name
        )
        return int(found["indexed"]), int(found["total"])

    def _ask(self, there: frozenset[str], say: Say) -> None:
        """A full Milvus builds in the background, the embedded engine before it answers."""
        for index in self._offered():
            if create.index_name(self._client, index) not in there:
                request = create.index_request(self._client, index, self._name)
                try:
                    self._watch(self._begin("CreateIndex", request), say)
                except Refused as error:
                    self.refused.append(_without(self._collection, index, error))

    def _offered(self) -> Sequence[IndexDescription]:
        server, known = self._client.server(), self._collection
        return [each for each in known.indexes if offers_index(server, known, each)]

    def _go_on(self, say: Say) -> None:
        """The embedded engine builds what a released collection lacks when it loads it."""
        create.release(self._client, self._name)
        request = milvus_pb2.LoadCollectionRequest(collection_name=self._name, replica_number=1)
        self._watch(self._begin("LoadCollection", request), say)

    def _begin(self, method: str, request: object) -> Pending:
        return self._client.begin(method, request, seconds=_PATIENT_SECONDS)

    def _watch(self, pending: Pending, say: Say) -> None:
        try:
            for pause in pauses():
                if pending.wait(pause):
                    break
                say(*self.progress())
        except BaseException:
            pending.cancel()
            raise
        pending()

    def _until_whole(self, say: Say) -> None:
        for _ in looks():
            done, total = self.progress()
            if done >= total:
                return
            say(done, total)

    def _is_unfinished(self) -> bool:
        done, total = self.progress()
        return done < total


def _without(collection: CollectionDescription, index: IndexDescription, error: Refused) -> str:
    return (
        f"{collection.name}: the index of {index.field_name!r} could not be built, so it comes "
        f"back without it: {error}"
    )
