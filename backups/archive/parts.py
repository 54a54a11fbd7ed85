"""What is known of a part: enough to read it, to distrust it, and to go on after it."""

from __future__ import annotations

import dataclasses
import hashlib
import re

from backups.archive.codec import FormatError, JsonModel
from backups.archive.scalars import Scalar

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(JsonModel):
    """One Parquet file that is sealed: written, hashed, durable and never touched again.

    Its JSON form is what the manifest holds, and what a job keeps so that its next attempt goes on
    after it.
    """

    collection: str
    partition: str
    number: int
    """Counted from 0 in each partition; parts in this order hold the rows in their order."""
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
    """Inside the archive. Two parts with the same content are one file."""
    return f"parts/{sha256}.parquet"


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_sha256(text: str, what: str) -> None:
    if not _SHA256.fullmatch(text):
        raise FormatError(f"{what}: {text!r} is not 64 lower-case hexadecimal digits")
