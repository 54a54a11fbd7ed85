"""Terms that pages explain where they first matter. The sentences are also in docs/glossary.md."""

from __future__ import annotations

TERMS = {
    "Autoscaling": "Adds a compute unit after 1 minute above 85% CPU and removes one after "
    "5 minutes below 30%, up to the maximum.",
    "Availability": "Part of the time in which the cluster should run and was observed, every few "
    "seconds, and answered. Time in which it was stopped on purpose or the console was off does "
    "not count. Days are UTC.",
    "Backup due": "The next good backup is expected by this time: two hours after the run that "
    "should create it, or at the following run if that is earlier. Afterwards the collections "
    "are stale.",
    "Compute units": "Size of a cluster. One unit is one CPU core.",
    "Coverage": "A collection is covered if an active policy backs it up, stale if its newest good "
    "backup is older than the schedule allows, and uncovered otherwise.",
    "Kept by retention": "Retention decides which backups of a policy are kept: the newest "
    "complete ones up to the policy's count, pinned ones, and the last restore-tested one.",
    "Restore-tested": "A restore of this backup succeeded, and the counts and contents of its "
    "rows were compared with the backup.",
    "Scopes": "Operations that a key may call. A request without the needed scope is refused.",
    "Verified": "All files of the backup were read and match their checksums. Rows were not "
    "restored.",
}
"""Term as pages show it → sentence that explains it."""
