"""Limits of what one request may name; the names themselves are `clusters.milvus_names`'."""

from __future__ import annotations

MAX_COLLECTIONS = 10_000
"""Of one backup, restore or policy, through every interface. A form may have as many fields."""
TOO_MANY_COLLECTIONS = f"Name at most {MAX_COLLECTIONS:,} collections."
