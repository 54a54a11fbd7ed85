"""Write audit entries: one append-only row per mutating call, for every interface."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User
from django.db import models

from vbase_console.organizations import differences
from vbase_console.organizations.models import AuditEntry, Membership, Outcome
from vbase_console.organizations.versions import changed

COMMAND = "manage.py"
"""Principal of console commands, because the console does not know which person ran them."""


class Interface(models.TextChoices):
    API = "API", "API"
    GRPC = "grpc", "gRPC"
    PAGES = "PAGES", "Web"
    ADMIN = "ADMIN", "Admin"
    COMMAND = "COMMAND", "Console command"
    CONSOLE = "CONSOLE", "Console"
    """The console itself, which heals a cluster."""


def record(
    *,
    organization_id: uuid.UUID,
    principal: str,
    action: str,
    object_id: str,
    source: str | None,
    interface: Interface,
    outcome: Outcome = Outcome.ACCEPTED,
    detail: str = "",
) -> AuditEntry:
    changed(organization_id)
    noted = differences.take()  # also of a refused call, so that the next row does not get them
    return AuditEntry.objects.create(
        organization_id=organization_id,
        principal=principal[:254],
        action=action,
        object_id=_storable(object_id)[:200],
        source=source,
        interface=interface,
        outcome=outcome,
        detail=_storable(detail)[:500],
        changes=noted if outcome == Outcome.ACCEPTED else None,
    )


def _storable(text: str) -> str:
    """Remove NUL characters, which PostgreSQL cannot store."""
    return text.replace("\x00", "")


def record_account_action(
    user: User,
    *,
    action: str,
    source: str | None,
    interface: Interface,
    outcome: Outcome = Outcome.ACCEPTED,
    detail: str = "",
) -> None:
    """Record an action of users on their own account, in each organization they belong to."""
    for organization_id in organizations_of(user.get_username()):
        record(
            organization_id=organization_id,
            principal=user.get_username(),
            action=action,
            object_id=user.get_username(),
            source=source,
            interface=interface,
            outcome=outcome,
            detail=detail,
        )


def record_command(
    organization_id: uuid.UUID, *, action: str, object_id: str, detail: str = ""
) -> None:
    record(
        organization_id=organization_id,
        principal=COMMAND,
        action=action,
        object_id=object_id,
        source=None,
        interface=Interface.COMMAND,
        detail=detail,
    )


def organizations_of(username: str) -> list[uuid.UUID]:
    memberships = Membership.objects.filter(user__username=username).order_by("organization")
    return list(memberships.values_list("organization", flat=True))
