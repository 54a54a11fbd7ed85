from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.examples import CLUSTER, OK, ORGANIZATION
from vbase_console.api.fields import Text, TextOrNull
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import ApiResponse, Input, Output, answer
from vbase_console.api.views import ApiView
from vbase_console.search.results import MAX_LENGTH, MIN_LENGTH, find

SEARCH_ANSWER: dict[str, Any] = {
    "results": [
        {
            "kind": "CLUSTER",
            "id": CLUSTER,
            "name": "shop-search",
            "organizationId": ORGANIZATION,
            "clusterId": CLUSTER,
            "url": f"/o/demo/clusters/{CLUSTER}",
        }
    ],
    "response": OK,
}


class SearchQuery(Input):
    q = Text(help_text=f"{MIN_LENGTH} to {MAX_LENGTH} characters.")


class FoundSerializer(Output):
    kind = serializers.ChoiceField(
        choices=["CLUSTER", "BACKUP", "POLICY", "COLLECTION", "TASK", "JOB"]
    )
    id = serializers.CharField(help_text="Of a collection: `<clusterId>/<database>/<name>`.")
    name = serializers.CharField(help_text="Of a task or job: its kind.")
    organization_id = serializers.CharField()
    cluster_id = TextOrNull()
    url = serializers.CharField(help_text="Page of the object, relative to the console's address.")


class SearchResponse(ApiResponse):
    results = serializers.ListField(child=FoundSerializer())


class Search(ApiView):
    operations = {
        "GET": Operation(
            name="Search",
            summary="Search by id or name",
            tag="Search",
            query=SearchQuery,
            answer=SearchResponse,
            errors=(400,),
            answer_example=SEARCH_ANSWER,
        )
    }

    def get(self, request: Request) -> Response:
        """Find clusters, policies, backups, tasks and jobs by their exact id, or by the beginnings
        of words of their names, and collections by their names. At most 20 answers, of the kinds
        that the key may list.
        """
        results = find(self.principal, self.asked["q"])
        return Response(answer(results=[FoundSerializer.of(result) for result in results]))
