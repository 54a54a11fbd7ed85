"""What the commands share."""

from __future__ import annotations

from django.db import DatabaseError


def preparation_hint(error: DatabaseError) -> str:
    return (
        f"The database does not answer as it should ({error}). If it is new, prepare it first: "
        "`make run`, or `manage.py prepare`."
    )
