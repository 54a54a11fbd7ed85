"""Make a database with one organization, one key and a hundred clusters; print what to ask for."""

from __future__ import annotations

import json
import secrets
import sys
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

if TYPE_CHECKING:
    from vbase_console.organizations.models import Organization

CLUSTERS = 100


def fill() -> dict[str, str]:
    from clusters.models import Cluster
    from vbase_console.management.commands.prepare import write_ahead
    from vbase_console.organizations.scopes import ALL_SCOPES
    from vbase_console.organizations.services import (
        create_organization,
        get_or_create_user,
        issue_api_key,
    )

    write_ahead()
    call_command("migrate", interactive=False, verbosity=0)
    organization = create_organization(
        name="bench", owner=get_or_create_user(email="owner@example.com")
    )
    _, key = issue_api_key(organization, name="bench", scopes=ALL_SCOPES)
    clusters = [
        Cluster(organization=organization, name=f"cluster {number}", version="2.1.0")
        for number in range(CLUSTERS)
    ]
    for cluster in clusters:
        cluster.token = secrets.token_urlsafe(32)
    made = Cluster.objects.bulk_create(clusters)[CLUSTERS // 2]
    return {
        "organization_id": str(organization.pk),
        "cluster_id": made.cluster_id,
        "key": key,
        "session": _session_of(organization),
    }


def _session_of(organization: Organization) -> str:
    """Sign the owner in. Returns the value of the session cookie."""
    from django.test import Client

    client = Client()
    client.force_login(
        organization.members.get(), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client.cookies["sessionid"].value


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(fill()))
