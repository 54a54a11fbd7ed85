from __future__ import annotations

from typing import Any

from rest_framework import serializers

from backups.protection.models import CoverageState
from clusters.api.examples import CLUSTER, OK
from clusters.api.requests import ClusterRequest
from vbase_console.api.fields import Text, TextOrNull
from vbase_console.api.paging import PagedResponse, Paging
from vbase_console.api.serializers import Output

LOAD_STATES = ("LOADED", "LOADING", "NOT_LOADED", "UNKNOWN")
INDEX_STATES = ("WAITING", "IN_PROGRESS", "FINISHED", "FAILED", "UNKNOWN")
"""As `backups.milvus.facts` names them, which is imported late."""
COLLECTIONS_ANSWER: dict[str, Any] = {
    "collections": [
        {
            "dbName": "default",
            "name": "images",
            "rowCount": 120_000,
            "sizeBytes": 63_214_080,
            "loadState": "LOADED",
            "partitionCount": 1,
            "aliases": ["pictures"],
            "indexes": [
                {
                    "fieldName": "vector",
                    "indexType": "HNSW",
                    "metricType": "COSINE",
                    "state": "IN_PROGRESS",
                    "indexedRows": 80_000,
                    "totalRows": 120_000,
                }
            ],
            "coverage": "COVERED",
        }
    ],
    "total": 1,
    "response": OK,
}
DATABASE_REQUEST: dict[str, Any] = {"name": "films"}
COLLECTION_REQUEST: dict[str, Any] = {"dbName": "default"}


def message(text: str) -> dict[str, Any]:
    return {"success": True, "code": "OK", "message": text}


class CollectionsQuery(Paging):
    db_name = Text(
        required=False, allow_blank=True, max_length=255, help_text="Default: all databases."
    )


class DatabaseRequest(ClusterRequest):
    name = Text(max_length=255, help_text="A name that the database does not have yet.")


class DatabaseBody(ClusterRequest):
    name = Text(required=False, help_text="Default: the name in the URL.")


class CollectionBody(ClusterRequest):
    name = Text(required=False, help_text="Default: the name in the URL.")
    db_name = Text(
        required=False, allow_blank=True, max_length=255, help_text="Default: `default`."
    )


class IndexSerializer(Output):
    field_name = serializers.CharField()  # type: ignore[assignment]  # not the serializer's own
    index_type = TextOrNull()
    metric_type = TextOrNull()
    state = serializers.ChoiceField(choices=INDEX_STATES)
    indexed_rows = serializers.IntegerField()
    total_rows = serializers.IntegerField()


class CollectionSerializer(Output):
    """A collection. Facts that the server did not tell in time are null."""

    db_name = serializers.CharField()
    name = serializers.CharField()
    row_count = serializers.IntegerField(source="facts.row_count", allow_null=True)
    size_bytes = serializers.IntegerField(
        allow_null=True, help_text="Bytes on disk; null for an attached cluster."
    )
    load_state = serializers.ChoiceField(choices=LOAD_STATES, source="facts.load_state")
    partition_count = serializers.IntegerField(source="facts.partition_count", allow_null=True)
    aliases = serializers.ListField(
        child=serializers.CharField(), source="facts.aliases", allow_null=True
    )
    indexes = serializers.ListField(
        child=IndexSerializer(), source="facts.indexes", allow_null=True
    )
    coverage = serializers.ChoiceField(choices=CoverageState.choices)


class CollectionsResponse(PagedResponse):
    collections = serializers.ListField(child=CollectionSerializer())


CREATE_DATABASE_ANSWER = message("Database films was created.")
DROP_DATABASE_ANSWER = message("Database films was dropped.")
LOAD_ANSWER = message(f"Collection default.images of {CLUSTER} is loaded or being loaded.")
RELEASE_ANSWER = message(f"Collection default.images of {CLUSTER} was released.")
