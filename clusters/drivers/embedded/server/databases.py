"""Database of a call, chosen as in the engine's servicer."""

from __future__ import annotations

from typing import Any

import grpc
from milvus_lite.db import DEFAULT_DATABASE_NAME


def database_of(request: Any, context: grpc.ServicerContext) -> str:
    """Return the request's database, else that of the client's connection."""
    return str(getattr(request, "db_name", "")) or _of_connection(context)


def target_database_of(request: Any, context: grpc.ServicerContext) -> str:
    """Return the database that a restored snapshot goes to."""
    return str(getattr(request, "target_db_name", "")) or _of_connection(context)


def _of_connection(context: grpc.ServicerContext) -> str:
    sent = (value for key, value in context.invocation_metadata() if key.lower() == "dbname")
    return next((str(value) for value in sent if value), DEFAULT_DATABASE_NAME)
