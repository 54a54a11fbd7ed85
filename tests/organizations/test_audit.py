"""Audit entries are added, and no interface can change or remove them."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection
from django.db.models import ProtectedError

from vbase_console.organizations.audit import Interface, record
from vbase_console.organizations.models import AuditEntry, Organization

REFUSED = "added, never changed or removed"


@pytest.fixture
def entry(organization: Organization) -> AuditEntry:
    return record(
        organization_id=organization.pk,
        principal="key:ci",
        action="ScaleCluster",
        object_id="vc-1",
        source="127.0.0.1",
        interface=Interface.API,
    )


def test_it_keeps_who_what_on_which_object_from_where_and_how_it_ended(entry: AuditEntry) -> None:
    kept = AuditEntry.objects.get()
    assert (kept.principal, kept.action, kept.object_id) == ("key:ci", "ScaleCluster", "vc-1")
    assert (kept.source, kept.interface, kept.outcome) == ("127.0.0.1", "API", "ACCEPTED")
    assert kept.at is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organizations_auditentry SET principal = 'somebody else'",
        "DELETE FROM organizations_auditentry",
    ],
)
def test_the_database_refuses_to_rewrite_history(entry: AuditEntry, statement: str) -> None:
    with pytest.raises(DatabaseError, match=REFUSED), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_row_that_is_saved_again_is_refused(entry: AuditEntry) -> None:
    entry.detail = "something else"
    with pytest.raises(DatabaseError, match=REFUSED):
        entry.save()


def test_a_row_that_is_deleted_is_refused(entry: AuditEntry) -> None:
    with pytest.raises(DatabaseError, match=REFUSED):
        entry.delete()


def test_an_organization_with_history_cannot_be_deleted(entry: AuditEntry) -> None:
    with pytest.raises(ProtectedError):
        entry.organization.delete()


def test_a_text_that_is_too_long_is_cut_rather_than_lost(organization: Organization) -> None:
    entry = record(
        organization_id=organization.pk,
        principal="p" * 300,
        action="ScaleCluster",
        object_id="o" * 300,
        source=None,
        interface=Interface.PAGES,
        detail="d" * 600,
    )
    assert (len(entry.principal), len(entry.object_id), len(entry.detail)) == (254, 200, 500)


def test_a_nul_does_not_reach_the_history(organization: Organization) -> None:
    """PostgreSQL would refuse the row, and with it the answer to the request."""
    entry = record(
        organization_id=organization.pk,
        principal="p",
        action="DeleteCluster",
        object_id="vc-\0x",
        source=None,
        interface=Interface.PAGES,
        detail="NOT_FOUND: Cluster 'vc-\0x' not found.",
    )
    assert (entry.object_id, entry.detail) == ("vc-x", "NOT_FOUND: Cluster 'vc-x' not found.")
