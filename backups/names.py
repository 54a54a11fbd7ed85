"""Defaults and limits of names in requests. Names inside Milvus: `clusters.milvus_names`."""

from __future__ import annotations

DEFAULT_DATABASE = "default"
MAX_COLLECTIONS = 10_000
"""Limit of one backup, restore or policy, through every interface. Forms accept as many fields."""
TOO_MANY_COLLECTIONS = f"Name at most {MAX_COLLECTIONS:,} collections."
