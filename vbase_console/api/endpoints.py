"""What belongs to the console itself: its health, and who a key is."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from vbase_console.api import health
from vbase_console.api.fields import TextOrNull
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import Answer, Output, answer
from vbase_console.api.views import ApiView

SEEN = {"status": "SERVING", "message": None, "lastSeenAt": "2026-11-22T09:00:00Z"}
THERE = SEEN | {"lastSeenAt": None}
HEALTHY = {
    "status": "SERVING",
    "components": {
        "database": THERE,
        "broker": THERE,
        "worker": SEEN,
        "beat": SEEN,
        "confinement": THERE | {"level": "full"},
        "oldestOverduePolicy": None,
    },
    "response": {"success": True},
}
ME = {
    "organizationId": "0b1e0d5c-6c5f-4b5e-9a51-3a4ad8c1f1f2",
    "keyName": "ci",
    "scopes": ["GetCluster", "ListVBaseService"],
    "response": {"success": True},
}


class ComponentOut(Output):
    status = serializers.ChoiceField(choices=["SERVING", "NOT_SERVING"])
    message = TextOrNull()
    last_seen_at = serializers.DateTimeField(allow_null=True)


class ConfinementOut(ComponentOut):
    status = serializers.ChoiceField(choices=["SERVING", "DEGRADED"])
    level = serializers.ChoiceField(
        choices=["full", "files", "none"],
        help_text="The lowest level of the running clusters' processes, as they report it; while "
        "none is running, the level that the kernel offers.",
    )


class ComponentsOut(Output):
    database = ComponentOut()
    broker = ComponentOut()
    worker = ComponentOut()
    beat = ComponentOut()
    confinement = ConfinementOut(
        allow_null=True, help_text="Null where the clusters are not processes of this console."
    )
    oldest_overdue_policy = serializers.DateTimeField(
        allow_null=True, help_text="Since when the longest waiting policy should have run."
    )


class HealthOut(Output):
    status = serializers.ChoiceField(choices=["SERVING", "DEGRADED"])
    components = ComponentsOut()


class HealthAnswer(Answer, HealthOut):
    pass


class HealthCheck(ApiView):
    authentication_classes = []
    permission_classes = []
    operations = {
        "GET": Operation(
            name="HealthCheck",
            tag="Console",
            answer=HealthAnswer,
            is_public=True,
            errors=(503,),
            answer_example=HEALTHY,
        )
    }

    def get(self, request: Request) -> Response:
        """Whether the console and its parts are at work. 200 whenever web and database answer."""
        return Response(answer(**HealthOut.of(health.look())))


class MeAnswer(Answer):
    organization_id = serializers.CharField()
    key_name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())


class Me(ApiView):
    operations = {"GET": Operation(name="GetMe", tag="Console", answer=MeAnswer, answer_example=ME)}

    def get(self, request: Request) -> Response:
        """The organization, the name and the scopes of the key that asks."""
        return Response(
            answer(
                organizationId=str(self.principal.organization_id),
                keyName=self.principal.label.removeprefix("key:"),
                scopes=sorted(self.principal.scopes),
            )
        )
