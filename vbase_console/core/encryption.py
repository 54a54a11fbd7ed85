"""Encryption at rest and single-purpose keys, derived from the secret key of the console."""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from vbase_console.core.errors import FailedPrecondition


def derived_key(purpose: str) -> bytes:
    """32 bytes for one purpose: HMAC-SHA256 of the purpose under the secret key."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"vbase:{purpose}".encode(), hashlib.sha256)


def encrypt(text: str) -> str:
    return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()


def decrypt(sealed: str) -> str:
    try:
        return _fernet(settings.SECRET_KEY).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise FailedPrecondition(
            "A stored credential cannot be decrypted, because it was encrypted with another key. "
            "Restore the previous VBASE_SECRET_KEY."
        ) from error


@lru_cache(maxsize=2)
def _fernet(secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derived_key("fields")))
