"""Preflight of a restore: its plan, conflicts, refusals and warnings. Changes nothing.

`dryRun`, the page, the request and the job run the same preflight. The job repeats it, because a
collection may be created in between.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backups.archive.access_control import AccessControl
from backups.archive.damage import ALL_PARTS, Finding, summarize
from backups.archive.description import CollectionDescription
from backups.milvus import losses
from backups.milvus.legal_names import refusal_of_name
from backups.milvus.server import ServerInfo
from backups.restore import disk_space
from backups.restore.access_plan import AccessPlan, plan_access_control
from backups.states import OnConflict
from clusters.milvus_names import MAX_NAME_BYTES, Kind
from vbase_console.core.errors import NotFound

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent, Manifest
    from backups.milvus.client import Client


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Requested restore. Empty `collection_names` select all collections of the backup."""

    db_name: str
    collection_names: Sequence[str] = ()
    on_conflict: OnConflict = OnConflict.FAIL
    suffix: str = ""
    restore_access_control: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionPlan:
    source: str
    target: str
    rows: int
    bytes: int
    replaces: bool
    """True if an existing collection of the target's name is replaced."""
    aliases: tuple[str, ...]
    """Aliases of the restored collection: the backup's and those of the replaced collection."""
    aliases_before: tuple[str, ...] = ()
    """Aliases of the replaced collection."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preflight:
    """Result of a preflight. `conflicts` are taken names. `refusals` are limits of the server, of
    the disk space or of a damaged backup.
    """

    db_name: str
    creates_database: bool
    steps: tuple[CollectionPlan, ...]
    conflicts: tuple[str, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    """Information without effect on the restore."""
    required_bytes: int
    free_bytes: int | None
    """None if the target does not report it."""
    access: AccessPlan
    proves: bool
    """True if the restore covers the whole backup and can compare every row."""

    @property
    def is_clear(self) -> bool:
        return not self.conflicts and not self.refusals


@dataclasses.dataclass(frozen=True)
class RestoreTarget:
    exists: bool
    aliases_of: dict[str, tuple[str, ...]]
    """Aliases of every collection."""
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    access_control: AccessControl | None = None
    """Users and roles, if they were requested and the server has any."""

    @property
    def collection_of(self) -> dict[str, str]:
        return {alias: name for name, aliases in self.aliases_of.items() for alias in aliases}

    def is_taken(self, name: str) -> bool:
        return name in self.aliases_of or name in self.collection_of


def inspect_target(client: Client, options: RestoreOptions) -> RestoreTarget:
    from backups.milvus.access_control import read_access_control

    access_control = read_access_control(client) if options.restore_access_control else None
    if options.db_name not in client.databases():
        return RestoreTarget(exists=False, aliases_of={}, access_control=access_control)
    return RestoreTarget(
        exists=True,
        aliases_of={name: tuple(client.aliases(name)) for name in client.collections()},
        properties=client.database_properties(),
        access_control=access_control,
    )


def preflight(
    manifest: Manifest,
    options: RestoreOptions,
    target: RestoreTarget,
    server: ServerInfo,
    free_bytes: int | None,
    findings: Sequence[Finding] = (),
) -> Preflight:
    """Plan a restore. A pure function of its arguments.

    `findings` are the known damages of the backup. A collection with a damaged part is refused; the
    other collections can be restored.
    """
    chosen = _chosen(manifest, options)
    required = disk_space.required_bytes(chosen)
    steps = tuple(_step(content, options, target) for content in chosen)
    descriptions = [content.description for content in chosen]
    access = _access_plan(manifest, options, target, server, steps)
    return Preflight(
        db_name=options.db_name,
        creates_database=not target.exists,
        steps=steps,
        conflicts=(
            *(text for step in steps for text in _conflicts(step, options, target)),
            *_name_collisions(steps),
        ),
        refusals=(
            *(text for content in chosen for text in _damaged_parts(content, findings)),
            *_refused_database_name(options, target, server),
            *(
                text
                for description in descriptions
                for text in losses.refusals(server, description)
            ),
            *_insufficient_space(required, free_bytes),
        ),
        warnings=(
            *_damage(findings),
            *(text for description in descriptions for text in losses.changes(server, description)),
            *(text for content in chosen for text in _rewritten_json(manifest, content, server)),
            *_lost_aliases(steps, chosen),
            *_lost_properties(manifest, options, target, server),
            *access.warnings,
        ),
        notes=(
            *_version_difference(manifest, server),
            *_unknown_space(required, free_bytes),
            *_unknown_properties(manifest, options),
            *access.notes,
        ),
        required_bytes=required,
        free_bytes=free_bytes,
        access=access,
        proves=_proves(manifest, descriptions, server),
    )


def _proves(
    manifest: Manifest, chosen: Sequence[CollectionDescription], server: ServerInfo
) -> bool:
    covers_backup = len(chosen) == len(manifest.collections)
    return covers_backup and not any(has_new_keys(server, description) for description in chosen)


def _chosen(manifest: Manifest, options: RestoreOptions) -> list[CollectionContent]:
    contents = {content.description.name: content for content in manifest.collections}
    missing = [name for name in options.collection_names if name not in contents]
    if missing:
        raise NotFound(
            f"The backup has no collection {', '.join(missing)}. Choose from {', '.join(contents)}."
        )
    return [contents[name] for name in dict.fromkeys(options.collection_names or contents)]


def _damaged_parts(content: CollectionContent, findings: Sequence[Finding]) -> list[str]:
    files = {part.name for part in content.parts}
    affecting = {*files, ALL_PARTS} if files else set()
    own = [finding for finding in findings if finding.file in affecting]
    if not own:
        return []
    more = f" and {len(own) - 1} more of its files" if len(own) > 1 else ""
    return [
        f"The backup is damaged in collection '{content.description.name}': {own[0]}{more}. Leave "
        "the collection out, or restore it from another backup."
    ]


def _damage(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Warn only, because a restore verifies each part before its rows are used."""
    if not findings:
        return ()
    return (
        f"The backup is damaged: {summarize(findings)}. Its intact collections can be restored. "
        "Create another backup.",
    )


def _step(
    content: CollectionContent, options: RestoreOptions, target: RestoreTarget
) -> CollectionPlan:
    name, aliases = content.description.name, set(content.description.aliases)
    renamed = options.on_conflict is OnConflict.RENAME and target.is_taken(name)
    replaces = options.on_conflict is OnConflict.REPLACE and name in target.aliases_of
    if renamed:
        aliases = {alias for alias in aliases if not target.is_taken(alias)}
    if replaces:
        aliases |= set(target.aliases_of[name])
    return CollectionPlan(
        source=name,
        target=f"{name}{options.suffix}" if renamed else name,
        rows=content.rows,
        bytes=content.bytes,
        replaces=replaces,
        aliases=tuple(sorted(aliases)),
        aliases_before=target.aliases_of[name] if replaces else (),
    )


def _conflicts(step: CollectionPlan, options: RestoreOptions, target: RestoreTarget) -> list[str]:
    texts = []
    if target.is_taken(step.target) and not step.replaces:
        owner = target.collection_of.get(step.target)
        detail = f", as an alias of '{owner}'" if owner else ""
        texts.append(f"'{step.target}' already exists in database '{options.db_name}'{detail}.")
    if len(step.target.encode()) > MAX_NAME_BYTES:
        texts.append(
            f"'{step.target}' is longer than {MAX_NAME_BYTES} bytes. Choose a shorter suffix."
        )
    own = target.aliases_of.get(step.target, ()) if step.replaces else ()
    for alias in step.aliases:
        if target.is_taken(alias) and alias not in own:
            owner = target.collection_of.get(alias, alias)
            texts.append(f"Alias '{alias}' of '{step.source}' is taken by '{owner}'.")
    return texts


def _name_collisions(steps: Sequence[CollectionPlan]) -> list[str]:
    counts = Counter(step.target for step in steps)
    return [
        f"Two collections of the backup would have the name '{name}'."
        for name, count in counts.items()
        if count > 1
    ]


def has_new_keys(server: ServerInfo, collection: CollectionDescription) -> bool:
    """Return True if the server generates new keys, so that rows cannot be compared."""
    return collection.primary_key.auto_id and not losses.keeps_given_keys(server)


def rewrites_json(
    manifest: Manifest, server: ServerInfo, collection: CollectionDescription
) -> bool:
    """Return True if the server changes the JSON text of dynamic fields. The embedded engine does,
    except for backups that it made itself.
    """
    from_other_engine = not ServerInfo(version=manifest.capture.milvus_version).is_embedded
    return server.is_embedded and from_other_engine and collection.enable_dynamic_field


def _rewritten_json(
    manifest: Manifest, content: CollectionContent, server: ServerInfo
) -> list[str]:
    if not rewrites_json(manifest, server, content.description):
        return []
    return [
        f"{content.description.name}: this server rewrites the JSON of dynamic fields with keys in "
        "alphabetical order. The values stay the same and are compared."
    ]


def _refused_database_name(
    options: RestoreOptions, target: RestoreTarget, server: ServerInfo
) -> tuple[str, ...]:
    """Check the name of a database only if the restore creates it."""
    reason = refusal_of_name(server, Kind.DATABASE, options.db_name)
    return (reason,) if reason and not target.exists else ()


def _insufficient_space(required: int, free: int | None) -> tuple[str, ...]:
    if free is None or required <= free:
        return ()
    return (
        f"The target has {disk_space.in_words(free)} of free space, but the restore temporarily "
        f"needs about {disk_space.in_words(required)}. Free disk space, restore fewer collections "
        "at a time, or choose another cluster.",
    )


def _unknown_space(required: int, free: int | None) -> tuple[str, ...]:
    if free is not None:
        return ()
    return (
        "The free space of the target is unknown. The restore temporarily needs about "
        f"{disk_space.in_words(required)}.",
    )


def _version_difference(manifest: Manifest, server: ServerInfo) -> tuple[str, ...]:
    origin = ServerInfo(version=manifest.capture.milvus_version)
    if origin.is_embedded == server.is_embedded and origin.number <= server.number:
        return ()
    kind = "an older version" if origin.is_embedded == server.is_embedded else "another engine"
    return (
        f"The backup is from Milvus {origin.version}; the target is {kind}, {server.version}. The "
        "known limits of the target are listed here.",
    )


def _access_plan(
    manifest: Manifest,
    options: RestoreOptions,
    target: RestoreTarget,
    server: ServerInfo,
    steps: Sequence[CollectionPlan],
) -> AccessPlan:
    if not options.restore_access_control:
        return AccessPlan()
    return plan_access_control(
        manifest.access_control,
        target.access_control,
        renamed=renamed_collections(manifest, options.db_name, steps),
        server_version=server.version,
    )


def renamed_collections(
    manifest: Manifest, db_name: str, steps: Sequence[CollectionPlan]
) -> set[tuple[str, str]]:
    """Return original database and name of the collections that get another one."""
    database = manifest.capture.database
    return {
        (database, step.source)
        for step in steps
        if (db_name, step.target) != (database, step.source)
    }


def _lost_aliases(
    steps: Sequence[CollectionPlan], chosen: Sequence[CollectionContent]
) -> tuple[str, ...]:
    return tuple(
        f"{step.target}: restored without alias {', '.join(sorted(names))}, which is taken."
        for step, content in zip(steps, chosen, strict=True)
        if (names := set(content.description.aliases) - set(step.aliases))
    )


def _lost_properties(
    manifest: Manifest, options: RestoreOptions, target: RestoreTarget, server: ServerInfo
) -> tuple[str, ...]:
    """Differences of properties. A restore does not change an existing database."""
    expected = manifest.capture.database_properties
    if expected is None:
        return ()
    if target.exists:
        differences = list(losses.property_differences(target.properties, expected))
        reason = "exists and keeps its own properties"
    else:
        kept = expected if losses.keeps_database_properties(server) else {}
        differences = list(losses.property_differences(kept, expected))
        reason = (
            f"is created without properties, because Milvus {server.version} does not store any"
        )
    if not differences:
        return ()
    return (f"Database '{options.db_name}' {reason}: {'; '.join(differences)}.",)


def _unknown_properties(manifest: Manifest, options: RestoreOptions) -> tuple[str, ...]:
    if manifest.capture.database_properties is not None:
        return ()
    return (
        f"The properties of database '{manifest.capture.database}' are unknown, because the backup "
        f"has an older format. Database '{options.db_name}' gets no properties from the backup.",
    )
