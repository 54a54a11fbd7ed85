"""The archive's table of contents: canonical JSON, with the SHA-256 of itself in it."""

from __future__ import annotations

import collections
import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from backups.archive.checksum import RowChecksum
from backups.archive.codec import FormatError, JsonModel, canonical_json, strict_json
from backups.archive.columns import arrow_schema, fingerprint
from backups.archive.description import CollectionDescription
from backups.archive.parts import Part, check_sha256, sha256_of

FORMAT = "vbase-archive"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
MAX_MANIFEST_BYTES = 256 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capture(JsonModel):
    """Where the rows are from, and what the server could not give."""

    database: str
    captured_at: str
    """The one instant that all rows are of; RFC 3339 in UTC."""
    method: str
    """How the instant was held: snapshot, timestamp or none."""
    milvus_version: str
    service_id: str = ""
    cluster_id: str = ""
    warnings: tuple[str, ...] = ()
    database_properties: Mapping[str, str] | None = None
    """As the server spells them. None: unknown, as in every archive of format version 1."""

    def __post_init__(self) -> None:
        try:
            moment = datetime.datetime.fromisoformat(self.captured_at)
        except ValueError as error:
            raise FormatError(f"captured_at: {self.captured_at!r} is no time") from error
        if moment.utcoffset() != datetime.timedelta(0):
            raise FormatError(f"captured_at: {self.captured_at!r} is not in UTC")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionContent(JsonModel):
    """A collection: what it is, and the parts that hold its rows."""

    description: CollectionDescription
    schema: str
    rows: int
    bytes: int
    """Of its files; a file that two parts share counts once."""
    row_checksum: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, description: CollectionDescription, parts: Iterable[Part]) -> Self:
        """From the parts that belong to it, whatever their order."""
        own = [part for part in parts if part.collection == description.name]
        own.sort(key=lambda part: (part.partition, part.number))
        return cls(
            description=description,
            schema=fingerprint(arrow_schema(description)),
            rows=sum(part.rows for part in own),
            bytes=bytes_of(own),
            row_checksum=_sum_of(own),
            parts=tuple(own),
        )

    def __post_init__(self) -> None:
        _check_description(self.description)
        check_sha256(self.schema, "schema")
        check_sha256(self.row_checksum, "row_checksum")

    def parts_of(self, partition: str) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.partition == partition)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest(JsonModel):
    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    backup_id: str
    organization_id: str
    capture: Capture
    collections: tuple[CollectionContent, ...]
    rows: int
    bytes: int
    """Of all part files, each counted once; the manifest itself is not in it."""

    @classmethod
    def of(
        cls,
        *,
        backup_id: str,
        organization_id: str,
        capture: Capture,
        collections: Sequence[CollectionDescription],
        parts: Sequence[Part],
    ) -> Self:
        contents = tuple(CollectionContent.of(each, parts) for each in collections)
        return cls(
            backup_id=backup_id,
            organization_id=organization_id,
            capture=capture,
            collections=contents,
            rows=sum(content.rows for content in contents),
            bytes=bytes_of(parts),
        ).checked(parts)

    @property
    def parts(self) -> Iterator[Part]:
        return (part for content in self.collections for part in content.parts)

    def collection(self, name: str) -> CollectionContent:
        """Raises KeyError for a name that is not in the backup."""
        return {each.description.name: each for each in self.collections}[name]

    def checked(self, parts: Sequence[Part] = ()) -> Self:
        """Everything that is said twice says the same, and no given part is left over."""
        names = [each.description.name for each in self.collections]
        _no_twins(names, "collections")
        if left_over := {part.collection for part in parts} - set(names):
            raise FormatError(f"there are parts of unknown collections {sorted(left_over)}")
        for content in self.collections:
            _check_content(content)
        _same(self.rows, sum(content.rows for content in self.collections), "rows")
        _same(self.bytes, bytes_of(self.parts), "bytes")
        return self


def serialize(manifest: Manifest) -> bytes:
    body = manifest.to_json()
    return canonical_json({**body, "sha256": sha256_of(canonical_json(body))})


def manifest_sha256(data: bytes) -> str:
    """The hash that a manifest's bytes carry."""
    members = strict_json(data)
    found = members.get("sha256") if isinstance(members, dict) else None
    if not isinstance(found, str):
        raise FormatError("it has no sha256")
    return found


def parse(data: bytes) -> Manifest:
    """The manifest in the newest version's form, if these are its canonical bytes.

    Raises `FormatError` if they are not, or if the version is unknown.
    """
    members = strict_json(data)
    if not isinstance(members, dict):
        raise FormatError("it is not a JSON object")
    _check_version(members)
    is_canonical = canonical_json(members) == data
    found = members.pop("sha256", None)
    if found != sha256_of(canonical_json(members)):
        raise FormatError("its content does not match the SHA-256 that it carries")
    newest = _upgraded(members)
    manifest = Manifest.from_json(newest).checked()
    if not is_canonical or manifest.to_json() != newest:
        raise FormatError("it is not in canonical form")
    return manifest


def bytes_of(parts: Iterable[Part]) -> int:
    return sum({part.sha256: part.bytes for part in parts}.values())


def _check_version(members: dict[str, Any]) -> None:
    kind, version = members.get("format"), members.get("format_version")
    if kind != FORMAT or type(version) is not int or version not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise FormatError(
            f"it says format {kind!r}, version {version!r};"
            f" this program reads {FORMAT!r}, versions {readable}"
        )


def _upgraded(members: dict[str, Any]) -> dict[str, Any]:
    """The same content as a manifest of the newest version; what version 1 did not hold is null."""
    capture = members.get("capture")
    if members["format_version"] == FORMAT_VERSION or not isinstance(capture, dict):
        return members
    if "database_properties" in capture:
        raise FormatError("$.capture: members ['database_properties'] are unknown in version 1")
    complete = {**capture, "database_properties": None}
    return {**members, "format_version": FORMAT_VERSION, "capture": complete}


def _check_description(description: CollectionDescription) -> None:
    keys = [field.name for field in description.fields if field.is_primary_key]
    if len(keys) != 1:
        raise FormatError(f"collection {description.name!r} has {len(keys)} primary keys")
    _no_twins([field.name for field in description.columns], f"fields of {description.name!r}")
    _no_twins(description.partitions, f"partitions of {description.name!r}")


def _check_content(content: CollectionContent) -> None:
    name = content.description.name
    for part in content.parts:
        _same(part.collection, name, f"collection of part {part.sha256}")
        _same(part.schema, content.schema, f"schema of part {part.sha256}")
        if part.partition not in content.description.partitions:
            raise FormatError(f"{name!r} has no partition {part.partition!r}")
    _same(CollectionContent.of(content.description, content.parts), content, f"content of {name!r}")
    _check_numbers(content)


def _check_numbers(content: CollectionContent) -> None:
    """No part of the middle may be gone, and none may stand there twice."""
    numbers = collections.defaultdict(list)
    for part in content.parts:
        numbers[part.partition].append(part.number)
    for partition, found in numbers.items():
        _same(found, list(range(len(found))), f"numbers of the parts of {partition!r}")


def _sum_of(parts: Iterable[Part]) -> str:
    checksum = RowChecksum()
    for part in parts:
        checksum.combine(part.row_checksum)
    return checksum.digest()


def _same(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise FormatError(f"{what}: it does not agree with the rest of the manifest")


def _no_twins(names: Sequence[str], what: str) -> None:
    if twins := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise FormatError(f"{what}: {sorted(twins)} are there more than once")
