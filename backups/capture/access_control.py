"""Users and roles of a backup (docs/access-control.md)."""

from __future__ import annotations

import dataclasses

from backups.archive.codec import FormatError
from backups.capture.pinning import Source
from backups.milvus.access_control import read_access_control
from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from backups.models import BackupJob
from vbase_console.tasks.errors import JobFailed

_NOT_OFFERED = "This server has no users and roles, so the backup contains none."
_REMEDY = "Use a token that may list users and roles, or leave them out of the backup."


def with_access_control(job: BackupJob, client: Client, source: Source) -> Source:
    """Add the users and roles to `source` if they were requested, or a warning.

    A server that refuses to list them fails a requested backup. A policy's backup goes on without
    them, because it is the only copy of the rows.
    """
    if not job.options.get("include_access_control"):
        return source
    try:
        access_control = read_access_control(client)
    except (MilvusError, FormatError) as error:
        if isinstance(error, MilvusError) and not error.permanent:
            raise
        if not job.policy_id:
            text = f"Users and roles cannot be read: {error} {_REMEDY}"
            raise JobFailed(text, permanent=True) from error
        return _with_warning(source, f"The backup contains no users and roles: {error} {_REMEDY}")
    if access_control is None:
        return _with_warning(source, _NOT_OFFERED)
    return dataclasses.replace(source, access_control=access_control)


def _with_warning(source: Source, text: str) -> Source:
    return dataclasses.replace(source, warnings=(*source.warnings, text))
