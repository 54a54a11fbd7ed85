"""What the store says of a backup, for people: read from its manifest, or why that cannot be."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING

from backups.looking import answering
from backups.models import Backup
from backups.services import read_archive
from backups.states import BackupStatus
from vbase_console.errors import ConsoleError

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent, Manifest

MOST_PARTS = 100
"""So many parts of a collection are listed; the command lists all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """Without a manifest: what was noted when it was sealed, and the problem."""

    manifest: Manifest | None = None
    problem: str = ""

    @property
    def captured_at(self) -> datetime | None:
        found = self.manifest
        return None if found is None else datetime.fromisoformat(found.capture.captured_at)


def contents_of(backup: Backup) -> Contents:
    if backup.status != BackupStatus.AVAILABLE:
        return Contents()
    try:
        with answering():
            manifest = read_archive(backup).manifest
    except ConsoleError as error:
        return Contents(problem=error.message)
    return Contents(manifest=manifest)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShownCollection:
    """One collection; `content` is None where only the row is left to tell of it."""

    name: str
    rows: int
    bytes: int
    parts: int
    content: CollectionContent | None = None

    @property
    def listed_parts(self) -> list[dict[str, object]]:
        if self.content is None:
            return []
        return [
            {"part": part, "keys": f"{part.key_min.value!s} to {part.key_max.value!s}"}
            for part in self.content.parts[:MOST_PARTS]
        ]

    @property
    def unlisted(self) -> int:
        return max(0, self.parts - MOST_PARTS)


def collections_in(backup: Backup, contents: Contents) -> list[ShownCollection]:
    if contents.manifest is None:
        noted = backup.collections if contents.problem else []
        return [
            ShownCollection(
                name=each["name"],
                rows=each["rowCount"],
                bytes=each["sizeBytes"],
                parts=each["parts"],
            )
            for each in noted
        ]
    return [
        ShownCollection(
            name=content.description.name,
            rows=content.rows,
            bytes=content.bytes,
            parts=len(content.parts),
            content=content,
        )
        for content in contents.manifest.collections
    ]
