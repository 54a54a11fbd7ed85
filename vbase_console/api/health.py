"""Endpoints HealthCheck, with the checks of its components, and GetMe."""

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
from vbase_console.core.component_health import Component, HealthStatus, checked
from vbase_console.core.errors import Unavailable
from vbase_console.core.overdue import overdue_since
from vbase_console.tasks.models import (
    HEARTBEAT_INTERVAL_SECONDS,
    HEARTBEAT_TIMEOUT_SECONDS,
    Heartbeat,
    Task,
    database_time_in,
)
from vbase_console.tasks.states import LEASED
from vbase_console.tasks.sweeps import CLOCK_SLACK_SECONDS

BROKER_TIMEOUT_SECONDS = 1
NO_WORKER = (
    "No worker is ready. This lasts a moment after a start; otherwise see the logs of the workers."
)
NO_SWEEP = (
    "No sweep has run for {seconds:.0f} seconds. This lasts a moment after a start; otherwise see "
    "the logs of sweepers and beat."
)
NO_BEAT = f"The scheduler (beat) has not reported for {HEARTBEAT_TIMEOUT_SECONDS:.0f} seconds."
BROKER_CHECK_CACHE_SECONDS = 5.0


class CachedCheck:
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
    """Check all components. Raises Unavailable if the database does not answer."""
    try:
        rows = Heartbeat.objects.all().annotate(now=Now())
        heartbeats = {heartbeat.part: heartbeat for heartbeat in rows}
        overdue = overdue_since()
        longest = database_time_in(settings.LEASE_SECONDS + CLOCK_SLACK_SECONDS)
        leased = Task.objects.filter(state__in=LEASED, lease_until__gt=Now())
        is_lease_held = leased.filter(lease_until__lte=longest).exists()
        confinement = checked("confinement")
    except DatabaseError as error:
        raise Unavailable("The database does not answer. Try again in a moment.") from error
    broker = Component(status=HealthStatus.SERVING)
    if not broker_answers():
        message = "The broker does not answer. Accepted tasks start when it is back."
        broker = Component(status=HealthStatus.NOT_SERVING, message=message)
    components: dict[str, Component] = {
        "database": Component(status=HealthStatus.SERVING),
        "broker": broker,
        "worker": _worker(heartbeats, is_lease_held),
        "beat": _reported(heartbeats.get("beat"), HEARTBEAT_TIMEOUT_SECONDS, NO_BEAT),
    }
    store = checked("store")
    if store is not None:
        components["store"] = store
    if confinement is not None:
        components["confinement"] = confinement
    is_serving = all(component.status is HealthStatus.SERVING for component in components.values())
    return {
        "status": HealthStatus.SERVING if is_serving and overdue is None else HealthStatus.DEGRADED,
        "components": {
            "store": None,
            "confinement": None,
            **components,
            "oldest_overdue_policy": overdue,
        },
    }


def _worker(heartbeats: Mapping[str, Heartbeat], is_lease_held: bool) -> Component:
    """Check workers and sweepers.

    The heartbeat of the sweeps shows that a sweeper works; the heartbeat of a process shows that it
    takes messages. If all processes of a worker are busy, a held lease shows that it is running.
    """
    last_sweep = heartbeats.get("worker")
    processes = [
        heartbeat
        for heartbeat in heartbeats.values()
        if ":" in heartbeat.part and _is_recent(heartbeat, HEARTBEAT_TIMEOUT_SECONDS)
    ]
    idle = sum(not process.is_working for process in processes)
    if idle:
        message = (
            f"{idle} of {len(processes)} workers and sweepers take no messages; see their logs."
        )
        return _not_serving(message, last_sweep)
    if is_lease_held:
        return Component(
            status=HealthStatus.SERVING, last_seen_at=last_sweep.at if last_sweep else None
        )
    if not any(process.part.startswith("worker:") for process in processes):
        return _not_serving(NO_WORKER, last_sweep)
    timeout = 3 * settings.SWEEP_SECONDS + HEARTBEAT_INTERVAL_SECONDS
    return _reported(last_sweep, timeout, NO_SWEEP.format(seconds=timeout))


def _reported(heartbeat: Heartbeat | None, timeout_seconds: float, problem: str) -> Component:
    if heartbeat is not None and _is_recent(heartbeat, timeout_seconds):
        return Component(status=HealthStatus.SERVING, last_seen_at=heartbeat.at)
    return _not_serving(problem, heartbeat)


def _not_serving(message: str, heartbeat: Heartbeat | None) -> Component:
    seen_at = heartbeat.at if heartbeat else None
    return Component(status=HealthStatus.NOT_SERVING, message=message, last_seen_at=seen_at)


def _is_recent(heartbeat: Any, timeout_seconds: float) -> bool:  # `now` is annotated
    """Compare with the clock of the database. A time in the future was written before the clock was
    set back, and proves nothing.
    """
    return bool(abs(heartbeat.now - heartbeat.at) <= timedelta(seconds=timeout_seconds))


def _reach_broker() -> bool:
    names = ("connect_timeout", "read_timeout")
    if settings.CELERY_BROKER_URL.startswith("redis"):
        names = ("socket_connect_timeout", "socket_timeout")
    options = dict.fromkeys(names, BROKER_TIMEOUT_SECONDS)
    connection = app.connection_for_write(
        connect_timeout=BROKER_TIMEOUT_SECONDS, transport_options=options
    )
    # kombu does not translate all refusals of RabbitMQ, such as a wrong password.
    refusals = connection.connection_errors + connection.channel_errors
    errors: tuple[type[BaseException], ...] = (KombuError, OSError, *refusals)
    try:
        with connection:
            connection.ensure_connection(
                max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT_SECONDS
            )
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
        "store": THERE,
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
        help_text="Lowest level that the processes of running clusters report. Without a running "
        "cluster: the level that the kernel offers.",
    )


class HealthComponentsSerializer(Output):
    database = HealthComponentSerializer()
    broker = HealthComponentSerializer()
    worker = HealthComponentSerializer()
    beat = HealthComponentSerializer()
    store = HealthComponentSerializer(
        allow_null=True, help_text="Backup store. Null if the console has none."
    )
    confinement = ConfinementHealthSerializer(
        allow_null=True, help_text="Null if the clusters are not processes of this console."
    )
    oldest_overdue_policy = serializers.DateTimeField(
        allow_null=True, help_text="Planned time of the oldest overdue run."
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
        """Check the console and its components. The status is 200 if web and database answer."""
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
        """Read the organization, the name and the scopes of the API key in use."""
        return Response(
            answer(
                organizationId=str(self.principal.organization_id),
                keyName=self.principal.label.removeprefix("key:"),
                scopes=sorted(self.principal.scopes),
            )
        )
