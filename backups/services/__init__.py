"""What can be asked of backups: one domain sentence each. HTML, API and admin all call these.

Each takes the cluster's or the backup's row first; each that takes time leaves a job and answers at
once.
"""

from __future__ import annotations

from backups.services.admission import require_available, user_of
from backups.services.jobs import cancel_job, retry_job
from backups.services.keeping import (
    delete_again,
    delete_backup,
    read_archive,
    set_pinned,
    verify_backup,
)
from backups.services.restoring import (
    RestoreRequest,
    accept_restore,
    ahead_of_a_restore,
    look_ahead,
    prepare_restore,
    restore_backup,
)
from backups.services.taking import (
    DEFAULT_DATABASE,
    BackupRequest,
    accept_backup,
    default_name,
    prepare_backup,
    take_backup,
)

__all__ = [
    "DEFAULT_DATABASE",
    "BackupRequest",
    "RestoreRequest",
    "accept_backup",
    "accept_restore",
    "ahead_of_a_restore",
    "cancel_job",
    "default_name",
    "delete_again",
    "delete_backup",
    "look_ahead",
    "prepare_backup",
    "prepare_restore",
    "read_archive",
    "require_available",
    "restore_backup",
    "retry_job",
    "set_pinned",
    "take_backup",
    "user_of",
    "verify_backup",
]
