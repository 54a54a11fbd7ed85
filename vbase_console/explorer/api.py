"""Endpoints of the contents of a cluster: collections, databases, load and release.

Changes are made in `prepare`, before the transaction of the call, because a server may take long.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from backups.names import DEFAULT_DATABASE
from clusters.api.base import ClusterView
from clusters.models import Cluster
from vbase_console.api.operations import Operation
from vbase_console.api.paging import slice_of
from vbase_console.api.serializers import MsgRespSerializer, accepted, answer
from vbase_console.explorer import api_serializers, changes
from vbase_console.explorer.api_serializers import (
    CollectionBody,
    CollectionSerializer,
    CollectionsQuery,
    CollectionsResponse,
    DatabaseBody,
    DatabaseRequest,
)
from vbase_console.explorer.contents import reading
from vbase_console.organizations.scopes import GET_CLUSTER, SCALE_CLUSTER

TAG = "Collections"


class ListCollections(ClusterView):
    operations = {
        "GET": Operation(
            name="ListCollections",
            summary="List the collections of a cluster",
            tag=TAG,
            scope=GET_CLUSTER,
            query=CollectionsQuery,
            answer=CollectionsResponse,
            errors=(400, 503),
            answer_example=api_serializers.COLLECTIONS_ANSWER,
        )
    }

    def get(self, request: Request, cluster_id: str) -> Response:
        """List collections by database and name, with rows, indexes, load state and coverage. They
        are read from the running server.
        """
        with reading(self.cluster(cluster_id), self.asked.get("db_name", "")) as contents:
            listed = contents.read(contents.keys[slice_of(self.asked)])
            rows = [CollectionSerializer.of(row) for row in listed]
            return Response(answer(collections=rows, total=len(contents.keys)))


class ContentsRequest(ClusterView):
    """Base of changes of databases and collections. The audit row names the changed object."""

    def changed_cluster(self) -> Cluster:
        """Find the cluster before the body is read: a stranger learns nothing about the body."""
        cluster = self.cluster(self.kwargs["cluster_id"])
        self.call.object_id = cluster.cluster_id
        return cluster

    def changed(self, text: str) -> Response:
        location = reverse("api-cluster-collections", args=[self.kwargs["cluster_id"]])
        return self.accepted(accepted(text), location=location)


class CreateDatabase(ContentsRequest):
    operations = {
        "POST": Operation(
            name="CreateDatabase",
            summary="Create a database",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=DatabaseRequest,
            answer=MsgRespSerializer,
            changes=True,
            errors=(503,),
            request_example=api_serializers.DATABASE_REQUEST,
            answer_example=api_serializers.CREATE_DATABASE_ANSWER,
        )
    }

    def prepare(self) -> None:
        cluster = self.changed_cluster()
        name = self.given()["name"]
        self.call.detail = f"database {name}"
        changes.create_database(cluster, name)

    def post(self, request: Request, cluster_id: str) -> Response:
        """Create an empty database in the running server."""
        return self.changed(f"Database {self.given()['name']} was created.")


class DropDatabase(ContentsRequest):
    operations = {
        "DELETE": Operation(
            name="DropDatabase",
            summary="Drop an empty database",
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=DatabaseBody,
            answer=MsgRespSerializer,
            changes=True,
            errors=(503,),
            answer_example=api_serializers.DROP_DATABASE_ANSWER,
        )
    }

    def prepare(self) -> None:
        name = self.kwargs["name"]
        cluster = self.changed_cluster()
        self.given()
        self.call.detail = f"database {name}"
        changes.drop_database(cluster, name)

    def delete(self, request: Request, cluster_id: str, name: str) -> Response:
        """Drop a database that contains no collection."""
        return self.changed(f"Database {name} was dropped.")


class ChangeCollection(Protocol):
    def __call__(self, cluster: Cluster, database: str, name: str) -> None: ...


class LoadStateChange(ContentsRequest):
    """Base of the changes of a load state."""

    change: ClassVar[ChangeCollection]
    outcome: ClassVar[str]

    def prepare(self) -> None:
        name = self.kwargs["name"]
        cluster = self.changed_cluster()
        database = self.database
        self.call.detail = f"collection {database}.{name}"
        type(self).change(cluster, database, name)

    def post(self, request: Request, cluster_id: str, name: str) -> Response:
        return self.changed(f"Collection {self.database}.{name} of {cluster_id} {self.outcome}.")

    @property
    def database(self) -> str:
        return str(self.given().get("db_name") or DEFAULT_DATABASE)


def load_state_operation(
    name: str, summary: str, example: dict[str, object]
) -> dict[str, Operation]:
    return {
        "POST": Operation(
            name=name,
            summary=summary,
            tag=TAG,
            scope=SCALE_CLUSTER,
            body=CollectionBody,
            answer=MsgRespSerializer,
            changes=True,
            errors=(503,),
            request_example=api_serializers.COLLECTION_REQUEST,
            answer_example=example,
        )
    }


class LoadCollection(LoadStateChange):
    """Load a collection into memory, so that it answers searches. Servers other than the embedded
    one load in the background: watch its `loadState`.
    """

    operations = load_state_operation(
        "LoadCollection", "Load a collection", api_serializers.LOAD_ANSWER
    )
    change = staticmethod(changes.load_collection)
    outcome = "is loaded or being loaded"


class ReleaseCollection(LoadStateChange):
    """Release a collection from memory. It answers no searches until it is loaded again."""

    operations = load_state_operation(
        "ReleaseCollection", "Release a collection", api_serializers.RELEASE_ANSWER
    )
    change = staticmethod(changes.release_collection)
    outcome = "was released"
