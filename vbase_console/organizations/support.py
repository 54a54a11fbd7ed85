"""Audit entries of support staff, with `support:<user>` as principal."""

from __future__ import annotations

import uuid

from django.http import HttpRequest

from vbase_console.core.client_address import source_of
from vbase_console.organizations import audit
from vbase_console.organizations.models import Outcome


def support_label(request: HttpRequest) -> str:
    """Return a principal name that tenants can distinguish from their members."""
    return f"support:{request.user.get_username()}"


def record_support(
    request: HttpRequest,
    organization_id: uuid.UUID,
    *,
    action: str,
    object_id: str,
    outcome: Outcome,
    detail: str = "",
) -> None:
    audit.record(
        organization_id=organization_id,
        principal=support_label(request),
        action=action,
        object_id=object_id,
        source=source_of(request),
        interface=audit.Interface.ADMIN,
        outcome=outcome,
        detail=detail,
    )
