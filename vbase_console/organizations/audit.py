"""One append-only row per mutating call; both doors and the admin write here."""

from __future__ import annotations

import uuid

from django.db import models

from vbase_console.organizations.models import AuditEntry, Outcome


class Door(models.TextChoices):
    API = "API"
    PAGES = "PAGES"
    ADMIN = "ADMIN"


def record(
    *,
    organization_id: uuid.UUID,
    principal: str,
    action: str,
    object_id: str,
    source: str | None,
    door: Door,
    outcome: Outcome = Outcome.ACCEPTED,
    detail: str = "",
) -> AuditEntry:
    return AuditEntry.objects.create(
        organization_id=organization_id,
        principal=principal[:254],
        action=action,
        object_id=object_id[:200],
        source=source,
        door=door,
        outcome=outcome,
        detail=detail[:500],
    )
