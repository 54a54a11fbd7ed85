"""Options of an S3 store, from its URL and the `VBASE_S3_*` variables.

The archive command reads them without Django, so these readers raise ValueError.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from backups.stores.base import KeyRefused, checked_key

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_STORAGE_CLASS = re.compile(r"[A-Z0-9_]{1,64}", re.ASCII)
_OFFLINE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

NO_ENCRYPTION, SSE_S3, SSE_KMS = "", "AES256", "aws:kms"


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3Credentials:
    """Access key of an S3 store. Its text form shows no secret."""

    access_key_id: str
    secret_access_key: str = dataclasses.field(repr=False)
    session_token: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3Options:
    bucket: str
    prefix: str
    endpoint: str
    """URL with the bucket's name in the host, unless the path contains the bucket."""
    region: str
    path_style: bool
    allow_http: bool
    server_side_encryption: str
    kms_key_id: str
    storage_class: str
    credentials: S3Credentials | None
    """None: the role of the instance or container."""

    @property
    def url(self) -> str:
        """The URL for messages. It never contains a credential."""
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"


def options_of(parts: SplitResult) -> S3Options:
    """Build the options of `s3://bucket/prefix`. Raises ValueError, and repeats no credential."""
    bucket, prefix = _location(parts)
    region = _matching("VBASE_S3_REGION", env_str("VBASE_S3_REGION", "us-east-1"), _REGION)
    given = env_str("VBASE_S3_ENDPOINT", "").rstrip("/")
    path_style = env_bool("VBASE_S3_PATH_STYLE", bool(given))
    server = given or _aws_endpoint(region)
    encryption, key = _encryption()
    return S3Options(
        bucket=bucket,
        prefix=prefix,
        endpoint=server if path_style else _with_bucket(server, bucket),
        region=region,
        path_style=path_style,
        allow_http=_allow_http(server),
        server_side_encryption=encryption,
        kms_key_id=key,
        storage_class=_storage_class(),
        credentials=_credentials(),
    )


def _location(parts: SplitResult) -> tuple[str, str]:
    bucket, prefix = parts.netloc, unquote(parts.path).strip("/")
    if not _BUCKET.fullmatch(bucket) or parts.query or parts.fragment:
        raise ValueError(
            "An S3 URL must be s3://bucket/prefix, without credentials, a port, a query or a "
            "fragment. Credentials are set with VBASE_S3_ACCESS_KEY_ID and "
            "VBASE_S3_SECRET_ACCESS_KEY."
        )
    try:
        return bucket, "/".join(checked_key(prefix)) if prefix else ""
    except KeyRefused as refused:
        raise ValueError(f"The prefix of the S3 URL: {refused}") from refused


def _aws_endpoint(region: str) -> str:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://s3.{region}.{suffix}"


def _with_bucket(endpoint: str, bucket: str) -> str:
    scheme, _, host = endpoint.partition("://")
    return f"{scheme}://{bucket}.{host}"


def _allow_http(endpoint: str) -> bool:
    """Check the endpoint. Returns True for http, which only loopback allows by default."""
    parts = urlsplit(endpoint)
    is_address = parts.scheme in {"http", "https"} and parts.hostname and not parts.path
    if not is_address or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(
            "VBASE_S3_ENDPOINT must be https://host or https://host:port, without a path."
        )
    allowed = env_bool("VBASE_S3_ALLOW_HTTP", _is_loopback(str(parts.hostname)))
    if parts.scheme == "http" and not allowed:
        raise ValueError(
            "VBASE_S3_ENDPOINT uses http, which encrypts nothing. Use https, or set "
            "VBASE_S3_ALLOW_HTTP to true."
        )
    return parts.scheme == "http"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _encryption() -> tuple[str, str]:
    """Return the kind of server-side encryption and the id of its key."""
    kind = env_str("VBASE_S3_SERVER_SIDE_ENCRYPTION", NO_ENCRYPTION)
    key = env_str("VBASE_S3_KMS_KEY_ID", "")
    if kind not in {NO_ENCRYPTION, SSE_S3, SSE_KMS}:
        raise ValueError(
            f"VBASE_S3_SERVER_SIDE_ENCRYPTION is {kind!r}; it must be {SSE_S3} or {SSE_KMS}."
        )
    if key and kind != SSE_KMS:
        raise ValueError(
            f"VBASE_S3_KMS_KEY_ID needs VBASE_S3_SERVER_SIDE_ENCRYPTION to be {SSE_KMS}."
        )
    return kind, key


def _storage_class() -> str:
    value = env_str("VBASE_S3_STORAGE_CLASS", "")
    if value in _OFFLINE_CLASSES:
        raise ValueError(
            f"VBASE_S3_STORAGE_CLASS is {value}, whose objects cannot be read at once. Choose a "
            "class for immediate access, such as STANDARD_IA or GLACIER_IR."
        )
    return value and _matching("VBASE_S3_STORAGE_CLASS", value, _STORAGE_CLASS)


def _credentials() -> S3Credentials | None:
    key, secret = env_secret("VBASE_S3_ACCESS_KEY_ID"), env_secret("VBASE_S3_SECRET_ACCESS_KEY")
    token = env_secret("VBASE_S3_SESSION_TOKEN")
    if not (key or secret or token):
        return None
    if not (key and secret):
        raise ValueError(
            "VBASE_S3_ACCESS_KEY_ID and VBASE_S3_SECRET_ACCESS_KEY must be set together. Without "
            "both, the role of the instance is used."
        )
    return S3Credentials(access_key_id=key, secret_access_key=secret, session_token=token)


def _matching(name: str, value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{name} is {value!r}; it must match {pattern.pattern}.")
    return value


# -- readers of variables -------------------------------------------------------------------------


def env_str(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, default: bool) -> bool:
    value = env_str(name, "").lower()
    if value and value not in _TRUE | _FALSE:
        raise ValueError(f"{name} is {value!r}; it must be true or false.")
    return value in _TRUE if value else default


def env_secret(name: str) -> str:
    """Read a secret from NAME or from the file NAME_FILE. Returns "" if neither is set."""
    value, file = env_str(name, ""), env_str(f"{name}_FILE", "")
    if value and file:
        raise ValueError(f"{name} and {name}_FILE are both set. Set one of them.")
    return value or (_content_of(name, file) if file else "")


def _content_of(name: str, file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE names {file}, which cannot be read.") from error


CredentialReader = Callable[[], S3Credentials | None]
"""Reads the credentials again, because a file may contain a new session token."""

read_credentials: CredentialReader = _credentials
