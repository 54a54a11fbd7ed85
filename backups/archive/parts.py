"""Metadata of a part, for reading, verifying and continuing after the part."""

from __future__ import annotations

import dataclasses
import hashlib
import re

from backups.archive.codec import FormatError, JsonModel
from backups.archive.scalars import Scalar

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(JsonModel):
    """One sealed Parquet file: complete, hashed, durable and immutable.

    The JSON form is part of the manifest. A job also stores the form in a row, so that its next
    attempt continues after the part.
    """

    collection: str
    partition: str
    number: int
    """Counted from 0 in each partition, in the order of the rows."""
    rows: int
    bytes: int
    sha256: str
    key_min: Scalar
    key_max: Scalar
    schema: str
    """Fingerprint of the columns."""
    row_checksum: str

    def __post_init__(self) -> None:
        check_sha256(self.sha256, "sha256")
        check_sha256(self.schema, "schema")
        check_sha256(self.row_checksum, "row_checksum")
        if self.rows < 1 or self.bytes < 1 or self.number < 0:
            raise FormatError(f"part {self.sha256} has impossible counts")

    @property
    def name(self) -> str:
        return part_name(self.sha256)


def part_name(sha256: str) -> str:
    """Return the name inside the archive. Two parts with the same content share a file."""
    return f"parts/{sha256}.parquet"


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_sha256(text: str, label: str) -> None:
    if not _SHA256.fullmatch(text):
        raise FormatError(f"{label}: {text!r} is not 64 lower-case hexadecimal digits")
