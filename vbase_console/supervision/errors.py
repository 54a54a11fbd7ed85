from __future__ import annotations


class StartRefused(Exception):
    """The console cannot start here and now; the message says why and what to do."""
