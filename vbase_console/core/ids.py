"""Random ids: a prefix that names the kind, a dash and 16 Crockford base32 characters (80 bits)."""

from __future__ import annotations

import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 16
CLUSTER_ID_PREFIX = "vc"


def new_id(prefix: str) -> str:
    return f"{prefix}-{''.join(secrets.choice(ALPHABET) for _ in range(LENGTH))}"


def new_service_id() -> str:
    return new_id("svc")


def new_cluster_id() -> str:
    return new_id(CLUSTER_ID_PREFIX)


def new_rollout_id() -> str:
    return new_id("roll")
