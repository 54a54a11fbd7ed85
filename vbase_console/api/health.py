"""HealthCheck with its components, and GetMe."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now
from kombu.exceptions import KombuError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from vbase_console.api.fields import TextOrNull
from vbase_console.api.operations import Operation
from vbase_console.api.serializers import ApiResponse, Output, answer
from vbase_console.api.views import ApiView
from vbase_console.celery import app
from vbase_console.core.component_health import Component, Health, checked
from vbase_console.core.errors import Unavailable
from vbase_console.core.overdue import overdue_since
from vbase_console.tasks.models import HEARTBEAT_INTERVAL_SECONDS, Heartbeat, Task, database_time_in
from vbase_console.tasks.states import LEASED
from vbase_console.tasks.sweeps import CLOCK_SLACK_SECONDS

BROKER_SECONDS = 1
PATIENCE = 3 * HEARTBEAT_INTERVAL_SECONDS
BROKER_CHECK_CACHE_SECONDS = 5.0


class CachedCheck:
    """The last answer of a check that costs a connection; asked often, it is made seldom."""

    def __init__(self, check: Callable[[], bool], holds_seconds: float) -> None:
        self._check, self._holds = check, holds_seconds
        self._answer: tuple[float, bool] | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        if self._answer is None or now - self._answer[0] > self._holds:
            self._answer = now, self._check()
        return self._answer[1]

    def forget(self) -> None:
        self._answer = None


def check_health() -> dict[str, Any]:
    """Every component and the verdict; `Unavailable` where the database does not answer."""
    try:
        pulses = {pulse.part: pulse for pulse in Heartbeat.objects.all().annotate(now=Now())}
        overdue = overdue_since()
        longest = database_time_in(settings.LEASE_SECONDS + CLOCK_SLACK_SECONDS)
        leased = Task.objects.filter(state__in=LEASED, lease_until__gt=Now())
        working = leased.filter(lease_until__lte=longest).exists()
        confinement = checked("confinement")
    except DatabaseError as error:
        raise Unavailable("The database does not answer; try again in a moment.") from error
    components: dict[str, Component] = {
        "database": Component(status=Health.SERVING),
        "broker": _broker(),
        "worker": _worker(pulses, working),
        "beat": _seen(pulses.get("beat"), 3 * HEARTBEAT_INTERVAL_SECONDS, "Nobody beats time."),
    }
    if confinement is not None:
        components["confinement"] = confinement
    well = all(component.status is Health.SERVING for component in components.values())
    late = overdue is not None
    return {
        "status": Health.SERVING if well and not late else Health.DEGRADED,
        "components": {
            "confinement": None,
            **components,
            "oldest_overdue_policy": overdue,
        },
    }


def _broker() -> Component:
    if broker_answers():
        return Component(status=Health.SERVING)
    return Component(status=Health.NOT_SERVING, message="It does not answer; sweeps find the work.")


def _worker(pulses: Mapping[str, Heartbeat], working: bool) -> Component:
    """Sweeps show that sweepers work, rows of their own that workers take messages. All processes
    of a worker may be busy; leases show that it lives.
    """
    swept = pulses.get("worker")
    living = [each for each in pulses.values() if ":" in each.part and _is_fresh(each, PATIENCE)]
    refused = sum(not each.is_working for each in living)
    if refused:
        message = (
            f"{refused} of {len(living)} workers and sweepers take no messages; see their logs."
        )
        return _not_serving(message, swept)
    if working:
        return Component(status=Health.SERVING, last_seen_at=swept.at if swept else None)
    if not any(each.part.startswith("worker:") for each in living):
        return _not_serving("No worker has been seen for a while.", swept)
    patience = 3 * settings.SWEEP_SECONDS + HEARTBEAT_INTERVAL_SECONDS
    return _seen(swept, patience, "No sweeper has been seen for a while.")


def _seen(pulse: Heartbeat | None, patience_seconds: float, otherwise: str) -> Component:
    if pulse is not None and _is_fresh(pulse, patience_seconds):
        return Component(status=Health.SERVING, last_seen_at=pulse.at)
    return _not_serving(otherwise, pulse)


def _not_serving(message: str, pulse: Heartbeat | None) -> Component:
    seen_at = pulse.at if pulse else None
    return Component(status=Health.NOT_SERVING, message=message, last_seen_at=seen_at)


def _is_fresh(pulse: Any, patience_seconds: float) -> bool:  # `now` is annotated
    """By the database's clock. A pulse from the future is older than a clock that was set back, and
    says nothing of the present.
    """
    return bool(abs(pulse.now - pulse.at) <= timedelta(seconds=patience_seconds))


def _reach_broker() -> bool:
    names = ("connect_timeout", "read_timeout")
    if settings.CELERY_BROKER_URL.startswith("redis"):
        names = ("socket_connect_timeout", "socket_timeout")
    options = dict.fromkeys(names, BROKER_SECONDS)
    connection = app.connection_for_write(connect_timeout=BROKER_SECONDS, transport_options=options)
    # Of RabbitMQ's refusals, such as a wrong password, kombu passes some on as they are.
    refusals = connection.connection_errors + connection.channel_errors
    errors: tuple[type[BaseException], ...] = (KombuError, OSError, *refusals)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except errors:
        return False
    return True


broker_answers = CachedCheck(_reach_broker, BROKER_CHECK_CACHE_SECONDS)


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


class HealthComponentSerializer(Output):
    status = serializers.ChoiceField(choices=["SERVING", "NOT_SERVING"])
    message = TextOrNull()
    last_seen_at = serializers.DateTimeField(allow_null=True)


class ConfinementHealthSerializer(HealthComponentSerializer):
    status = serializers.ChoiceField(choices=["SERVING", "DEGRADED"])
    level = serializers.ChoiceField(
        choices=["full", "files", "none"],
        help_text="The lowest level of the running clusters' processes, as they report it; while "
        "none is running, the level that the kernel offers.",
    )


class HealthComponentsSerializer(Output):
    database = HealthComponentSerializer()
    broker = HealthComponentSerializer()
    worker = HealthComponentSerializer()
    beat = HealthComponentSerializer()
    confinement = ConfinementHealthSerializer(
        allow_null=True, help_text="Null where the clusters are not processes of this console."
    )
    oldest_overdue_policy = serializers.DateTimeField(
        allow_null=True, help_text="Since when the longest waiting policy should have run."
    )


class HealthSerializer(Output):
    status = serializers.ChoiceField(choices=["SERVING", "DEGRADED"])
    components = HealthComponentsSerializer()


class HealthResponse(ApiResponse, HealthSerializer):
    pass


class HealthCheck(ApiView):
    authentication_classes = []
    permission_classes = []
    operations = {
        "GET": Operation(
            name="HealthCheck",
            summary="Check the health of the console",
            tag="Console",
            answer=HealthResponse,
            is_public=True,
            errors=(503,),
            answer_example=HEALTHY,
        )
    }

    def get(self, request: Request) -> Response:
        """Whether the console and its parts are at work. 200 whenever web and database answer."""
        return Response(answer(**HealthSerializer.of(check_health())))


class MeResponse(ApiResponse):
    organization_id = serializers.CharField()
    key_name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())


class Me(ApiView):
    operations = {
        "GET": Operation(
            name="GetMe",
            summary="Read the API key in use",
            tag="Console",
            answer=MeResponse,
            answer_example=ME,
        )
    }

    def get(self, request: Request) -> Response:
        """The organization, the name and the scopes of the key that asks."""
        return Response(
            answer(
                organizationId=str(self.principal.organization_id),
                keyName=self.principal.label.removeprefix("key:"),
                scopes=sorted(self.principal.scopes),
            )
        )
