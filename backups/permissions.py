"""Which scope each type of job needs; cancelling and retrying need the scope of what they are
about.
"""

from __future__ import annotations

from backups.states import JobKind
from vbase_console.organizations.scopes import CREATE_BACKUP, DELETE_BACKUP, RESTORE_BACKUP

SCOPE_OF_JOB: dict[JobKind, str] = {
    JobKind.BACKUP: CREATE_BACKUP,
    JobKind.VERIFY: CREATE_BACKUP,
    JobKind.RESTORE: RESTORE_BACKUP,
    JobKind.DELETE: DELETE_BACKUP,
}


def scope_of(job_type: str) -> str:
    return SCOPE_OF_JOB[JobKind(job_type)]
