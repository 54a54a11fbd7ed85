"""Manifest: the archive's table of contents, canonical JSON with its own SHA-256."""

from __future__ import annotations

import collections
import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from backups.archive.access_control import AccessControl
from backups.archive.checksum import RowChecksum
from backups.archive.codec import FormatError, JsonModel, canonical_json, strict_json
from backups.archive.columns import arrow_schema, fingerprint
from backups.archive.description import CollectionDescription
from backups.archive.parts import Part, check_sha256, sha256_of

FORMAT = "vbase-archive"
FORMAT_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)
_DATABASE_PROPERTIES_SINCE = 2
MAX_MANIFEST_BYTES = 256 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capture(JsonModel):
    """Origin of the rows, and warnings about content that the server did not return."""

    database: str
    captured_at: str
    """Instant of all rows, RFC 3339 in UTC."""
    method: str
    """Method of pinning the instant: snapshot, timestamp or none."""
    milvus_version: str
    service_id: str = ""
    cluster_id: str = ""
    warnings: tuple[str, ...] = ()
    database_properties: Mapping[str, str] | None = None
    """As returned by the server. None if unknown, as in every archive of format version 1."""

    def __post_init__(self) -> None:
        try:
            moment = datetime.datetime.fromisoformat(self.captured_at)
        except ValueError as error:
            raise FormatError(f"captured_at: {self.captured_at!r} is no time") from error
        if moment.utcoffset() != datetime.timedelta(0):
            raise FormatError(f"captured_at: {self.captured_at!r} is not in UTC")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionContent(JsonModel):
    description: CollectionDescription
    schema: str
    rows: int
    bytes: int
    """Size of the files. A file shared by two parts counts once."""
    row_checksum: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, description: CollectionDescription, parts: Iterable[Part]) -> Self:
        """Build the content from `parts`, which may be unsorted and include other collections."""
        own = [part for part in parts if part.collection == description.name]
        own.sort(key=lambda part: (part.partition, part.number))
        checksum = RowChecksum()
        for part in own:
            checksum.combine(part.row_checksum)
        return cls(
            description=description,
            schema=fingerprint(arrow_schema(description)),
            rows=sum(part.rows for part in own),
            bytes=bytes_of(own),
            row_checksum=checksum.digest(),
            parts=tuple(own),
        )

    def __post_init__(self) -> None:
        keys = [field.name for field in self.description.fields if field.is_primary_key]
        if len(keys) != 1:
            raise FormatError(f"collection {self.description.name!r} has {len(keys)} primary keys")
        _check_unique(
            [field.name for field in self.description.columns],
            f"fields of {self.description.name!r}",
        )
        _check_unique(self.description.partitions, f"partitions of {self.description.name!r}")
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
    """Size of all part files, each counted once, without the manifest."""
    access_control: AccessControl | None = None
    """Users and roles of the server. None if they were not requested, if the server has none, and
    in every archive before format version 3.
    """

    @classmethod
    def of(
        cls,
        *,
        backup_id: str,
        organization_id: str,
        capture: Capture,
        collections: Sequence[CollectionDescription],
        parts: Sequence[Part],
        access_control: AccessControl | None = None,
    ) -> Self:
        contents = tuple(CollectionContent.of(collection, parts) for collection in collections)
        return cls(
            backup_id=backup_id,
            organization_id=organization_id,
            capture=capture,
            collections=contents,
            rows=sum(content.rows for content in contents),
            bytes=bytes_of(parts),
            access_control=access_control,
        ).checked(parts)

    @property
    def parts(self) -> Iterator[Part]:
        return (part for content in self.collections for part in content.parts)

    def collection(self, name: str) -> CollectionContent:
        return {content.description.name: content for content in self.collections}[name]

    def checked(self, parts: Sequence[Part] = ()) -> Self:
        """Return self. Raises FormatError if values contradict or a part has no collection."""
        names = [content.description.name for content in self.collections]
        _check_unique(names, "collections")
        if left_over := {part.collection for part in parts} - set(names):
            raise FormatError(f"there are parts of unknown collections {sorted(left_over)}")
        for content in self.collections:
            _check_content(content)
        _check_equal(self.rows, sum(content.rows for content in self.collections), "rows")
        _check_equal(self.bytes, bytes_of(self.parts), "bytes")
        return self


def serialize(manifest: Manifest) -> bytes:
    body = manifest.to_json()
    return canonical_json({**body, "sha256": sha256_of(canonical_json(body))})


def manifest_sha256(data: bytes) -> str:
    members = strict_json(data)
    sha256 = members.get("sha256") if isinstance(members, dict) else None
    if not isinstance(sha256, str):
        raise FormatError("it has no sha256")
    return sha256


def parse(data: bytes) -> Manifest:
    """Parse a manifest and convert it to the newest version.

    Raises FormatError if the bytes are not canonical or the version is unknown.
    """
    members = strict_json(data)
    if not isinstance(members, dict):
        raise FormatError("it is not a JSON object")
    kind, version = members.get("format"), members.get("format_version")
    if kind != FORMAT or type(version) is not int or version not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise FormatError(
            f"it has format {kind!r}, version {version!r};"
            f" this program reads {FORMAT!r}, versions {readable}"
        )
    is_canonical = canonical_json(members) == data
    sha256 = members.pop("sha256", None)
    if sha256 != sha256_of(canonical_json(members)):
        raise FormatError("its content does not match its own SHA-256")
    newest = _upgraded(members)
    manifest = Manifest.from_json(newest).checked()
    if not is_canonical or manifest.to_json() != newest:
        raise FormatError("it is not in canonical form")
    return manifest


def bytes_of(parts: Iterable[Part]) -> int:
    return sum({part.sha256: part.bytes for part in parts}.values())


def _upgraded(members: dict[str, Any]) -> dict[str, Any]:
    """Convert the members to the newest version. Members that older versions lack become null."""
    version, capture = members["format_version"], members.get("capture")
    if version == FORMAT_VERSION or not isinstance(capture, dict):
        return members
    if version < _DATABASE_PROPERTIES_SINCE:
        capture = _with_null(capture, "database_properties", f"$.capture: version {version}")
    complete = {**members, "format_version": FORMAT_VERSION, "capture": capture}
    return _with_null(complete, "access_control", f"$: version {version}")


def _with_null(members: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    if name in members:
        raise FormatError(f"{where} has no member {name!r}")
    return {**members, name: None}


def _check_content(content: CollectionContent) -> None:
    name = content.description.name
    for part in content.parts:
        _check_equal(part.collection, name, f"collection of part {part.sha256}")
        _check_equal(part.schema, content.schema, f"schema of part {part.sha256}")
        if part.partition not in content.description.partitions:
            raise FormatError(f"{name!r} has no partition {part.partition!r}")
    rebuilt = CollectionContent.of(content.description, content.parts)
    _check_equal(rebuilt, content, f"content of {name!r}")
    numbers = collections.defaultdict(list)
    for part in content.parts:
        numbers[part.partition].append(part.number)
    for partition, actual in numbers.items():
        # no part is missing or duplicated
        _check_equal(actual, list(range(len(actual))), f"numbers of the parts of {partition!r}")


def _check_equal(actual: object, expected: object, label: str) -> None:
    if actual != expected:
        raise FormatError(f"{label}: the value contradicts the rest of the manifest")


def _check_unique(names: Sequence[str], label: str) -> None:
    if duplicates := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise FormatError(f"{label}: {sorted(duplicates)} are duplicated")
