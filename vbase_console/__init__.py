from __future__ import annotations

import gc

from vbase_console.celery import app as celery_app

__all__ = ["celery_app"]

# Each program makes 200,000 objects at its start, and they stay. With Python's threshold of 700,
# the search for garbage among them takes a tenth of the start. `apps.py` sets it back, because a
# stream of rows must not leave garbage for long.
gc.set_threshold(20_000)
