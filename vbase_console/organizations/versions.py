"""Version of an organization: a number by which an idle page sees that something has changed.

See docs/live-pages.md. The row is raised after a commit, at most once a second, and is no part of
the transaction that changes something: writers do not wait for each other.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from vbase_console.organizations.models import OrganizationVersion

RAISE_INTERVAL_SECONDS = 1.0
SETTLING_SECONDS = 2.0
"""Age of the last raise from which no change without a raise of its own can be missing."""


def changed(organization_id: uuid.UUID) -> None:
    """Raise the version after the commit of the current transaction."""

    def raise_after_commit() -> None:  # a robust callback needs a name, which a partial lacks
        raise_version(organization_id)

    transaction.on_commit(raise_after_commit, robust=True)


def raise_version(organization_id: uuid.UUID) -> None:
    """Raise the version unless that happened within the last second."""
    version = OrganizationVersion.objects.filter(pk=organization_id)
    recent = Q(changed_at__gt=_ago(RAISE_INTERVAL_SECONDS), changed_at__lte=Now())
    # SQLite takes its write lock for an update of no row, too.
    if version.filter(recent).exists():
        return
    if not version.exclude(recent).update(number=F("number") + 1, changed_at=Now()):
        first = OrganizationVersion(organization_id=organization_id, number=1, changed_at=Now())
        OrganizationVersion.objects.bulk_create([first], ignore_conflicts=True)


def lock_version(organization_id: uuid.UUID) -> None:
    """Lock the row until the transaction ends, to serialize transactions of the organization.

    It must be the last row that a transaction locks: those that wait for it then hold no row that
    another one waits for.
    """
    version = OrganizationVersion.objects.select_for_update().filter(pk=organization_id)
    if version.first() is None:
        first = OrganizationVersion(organization_id=organization_id, changed_at=Now())
        OrganizationVersion.objects.bulk_create([first], ignore_conflicts=True)
        version.get()


def is_settling(version: str = "") -> ExpressionWrapper[Q]:
    """Condition for an unsettled version. `version` is its lookup path, such as `version__`."""
    at = f"{version}changed_at"
    recent = Q(**{f"{at}__gt": _ago(SETTLING_SECONDS), f"{at}__lte": Now()})
    return ExpressionWrapper(recent, output_field=models.BooleanField())


def _ago(seconds: float) -> Combinable:
    return ExpressionWrapper(
        Now() - timedelta(seconds=seconds), output_field=models.DateTimeField()
    )
