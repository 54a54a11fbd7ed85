"""What a restore would do, and what stands in its way: looked up before anything is touched.

The same look is taken by `dryRun`, by the page, by the request and once more by the job, because a
collection may appear in between.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from backups.archive.damage import ALL_PARTS, Finding, told
from backups.archive.description import CollectionDescription
from backups.milvus import losses
from backups.milvus.legal_names import refusal_of_name
from backups.milvus.server import ServerInfo
from backups.restore import disk_space
from backups.states import OnConflict
from clusters.milvus_names import MAX_NAME_BYTES, Kind
from vbase_console.core.errors import NotFound

if TYPE_CHECKING:
    from backups.archive.manifest import CollectionContent, Manifest
    from backups.milvus.client import Client


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """What is asked for; empty `collection_names` mean all that the backup holds."""

    db_name: str
    collection_names: Sequence[str] = ()
    on_conflict: OnConflict = OnConflict.FAIL
    suffix: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionPlan:
    """One collection of the backup, and where it goes."""

    source: str
    target: str
    rows: int
    bytes: int
    replaces: bool
    """A collection of the target's name is there and gives way."""
    aliases: tuple[str, ...]
    """That will mean the restored collection: the backup's, and those of what it replaces."""
    aliases_before: tuple[str, ...] = ()
    """Of what it replaces."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preflight:
    """`conflicts` are names in the way, `refusals` what this server cannot take at all."""

    db_name: str
    creates_database: bool
    steps: tuple[CollectionPlan, ...]
    conflicts: tuple[str, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    """What is worth knowing and changes nothing."""
    required_bytes: int
    free_bytes: int | None
    """None: the target does not tell."""
    proves: bool
    """It brings all of the backup back, and can compare every row."""

    @property
    def is_clear(self) -> bool:
        return not self.conflicts and not self.refusals


@dataclasses.dataclass(frozen=True)
class RestoreTarget:
    """What is in the target database now."""

    exists: bool
    aliases_of: dict[str, tuple[str, ...]]
    """Of every collection there."""
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Of the database itself."""

    @property
    def collection_of(self) -> dict[str, str]:
        return {alias: name for name, aliases in self.aliases_of.items() for alias in aliases}

    def is_taken(self, name: str) -> bool:
        return name in self.aliases_of or name in self.collection_of


def inspect_target(client: Client, database: str) -> RestoreTarget:
    if database not in client.databases():
        return RestoreTarget(exists=False, aliases_of={})
    aliases = {name: tuple(client.aliases(name)) for name in client.collections()}
    return RestoreTarget(exists=True, aliases_of=aliases, properties=client.database_properties())


def preflight(
    manifest: Manifest,
    wish: RestoreOptions,
    target: RestoreTarget,
    server: ServerInfo,
    free_bytes: int | None,
    findings: Sequence[Finding] = (),
) -> Preflight:
    """Pure: the same backup, wish and target give the same answer. `findings` are what is known to
    be damaged of the backup: a collection that has such a part is refused, the others are restored.
    """
    chosen = _chosen(manifest, wish)
    required = disk_space.required_bytes(chosen)
    steps = tuple(_step(content, wish, target) for content in chosen)
    descriptions = [content.description for content in chosen]
    return Preflight(
        db_name=wish.db_name,
        creates_database=not target.exists,
        steps=steps,
        conflicts=(
            *(text for step in steps for text in _conflicts(step, wish, target)),
            *_twins(steps),
        ),
        refusals=(
            *(text for each in chosen for text in _damaged_parts(each, findings)),
            *_unnamable_database(wish, target, server),
            *_each(losses.refusals, server, descriptions),
            *_too_little(required, free_bytes),
        ),
        warnings=(
            *_damage(findings),
            *_each(losses.changes, server, descriptions),
            *(text for each in chosen for text in _respelled(manifest, each, server)),
            *_lost_aliases(steps, chosen),
            *_lost_properties(manifest, wish, target, server),
        ),
        notes=(
            *_of_another_version(manifest, server),
            *_unknown_room(required, free_bytes),
            *_unknown_properties(manifest, wish),
        ),
        required_bytes=required,
        free_bytes=free_bytes,
        proves=len(chosen) == len(manifest.collections)
        and not any(has_new_keys(server, each) for each in descriptions),
    )


def _chosen(manifest: Manifest, wish: RestoreOptions) -> list[CollectionContent]:
    held = {content.description.name: content for content in manifest.collections}
    missing = [name for name in wish.collection_names if name not in held]
    if missing:
        raise NotFound(
            f"The backup holds no collection {', '.join(missing)}, only {', '.join(held)}."
        )
    return [held[name] for name in dict.fromkeys(wish.collection_names or held)]


def _damaged_parts(content: CollectionContent, findings: Sequence[Finding]) -> list[str]:
    own = {part.name for part in content.parts}
    found = [each for each in findings if each.file in own or (own and each.file == ALL_PARTS)]
    if not found:
        return []
    more = f" and {len(found) - 1} more of its files" if len(found) > 1 else ""
    return [
        f"The backup is damaged: of '{content.description.name}' {found[0]}{more}. Leave the "
        "collection out, or restore it from another backup."
    ]


def _damage(findings: Sequence[Finding]) -> tuple[str, ...]:
    """A restore verifies each part before a row of it is used, so the whole ones can be trusted."""
    if not findings:
        return ()
    return (
        f"The backup is damaged: {told(findings)}. What is whole of it can be restored; count on "
        "another backup.",
    )


def _step(
    content: CollectionContent, wish: RestoreOptions, target: RestoreTarget
) -> CollectionPlan:
    name, aliases = content.description.name, set(content.description.aliases)
    renamed = wish.on_conflict is OnConflict.RENAME and target.is_taken(name)
    replaces = wish.on_conflict is OnConflict.REPLACE and name in target.aliases_of
    if renamed:
        aliases = {alias for alias in aliases if not target.is_taken(alias)}
    if replaces:
        aliases |= set(target.aliases_of[name])
    return CollectionPlan(
        source=name,
        target=f"{name}{wish.suffix}" if renamed else name,
        rows=content.rows,
        bytes=content.bytes,
        replaces=replaces,
        aliases=tuple(sorted(aliases)),
        aliases_before=target.aliases_of[name] if replaces else (),
    )


def _conflicts(step: CollectionPlan, wish: RestoreOptions, target: RestoreTarget) -> list[str]:
    found = []
    if target.is_taken(step.target) and not step.replaces:
        means = target.collection_of.get(step.target)
        what = f", as an alias of '{means}'" if means else ""
        found.append(f"'{step.target}' exists already in database '{wish.db_name}'{what}.")
    if len(step.target.encode()) > MAX_NAME_BYTES:
        text = f"'{step.target}' is longer than {MAX_NAME_BYTES} bytes: choose a shorter suffix."
        found.append(text)
    own = target.aliases_of.get(step.target, ()) if step.replaces else ()
    for alias in step.aliases:
        if target.is_taken(alias) and alias not in own:
            means = target.collection_of.get(alias, alias)
            found.append(f"Alias '{alias}' of '{step.source}' is taken by '{means}'.")
    return found


def _twins(steps: Sequence[CollectionPlan]) -> list[str]:
    """Two collections of the backup that would take one name."""
    counted = Counter(step.target for step in steps)
    return [f"Two collections would be called '{name}'." for name, n in counted.items() if n > 1]


def has_new_keys(server: ServerInfo, collection: CollectionDescription) -> bool:
    """The server numbers the rows anew, so that they cannot be compared with the backup's."""
    return collection.primary_key.auto_id and not losses.keeps_given_keys(server)


def respells(manifest: Manifest, server: ServerInfo, collection: CollectionDescription) -> bool:
    """The embedded engine writes the JSON of dynamic fields in a spelling of its own. What it gave
    itself is in that spelling already.
    """
    from_elsewhere = not ServerInfo(version=manifest.capture.milvus_version).is_embedded
    return server.is_embedded and from_elsewhere and collection.enable_dynamic_field


def _respelled(manifest: Manifest, content: CollectionContent, server: ServerInfo) -> list[str]:
    if not respells(manifest, server, content.description):
        return []
    return [
        f"{content.description.name}: this server spells the JSON of dynamic fields anew, keys in "
        "alphabetical order; their values stay the same, and that is what is compared."
    ]


def _unnamable_database(
    wish: RestoreOptions, target: RestoreTarget, server: ServerInfo
) -> tuple[str, ...]:
    """One that is there already needs no name any more."""
    reason = refusal_of_name(server, Kind.DATABASE, wish.db_name)
    return (reason,) if reason and not target.exists else ()


def _too_little(required: int, free: int | None) -> tuple[str, ...]:
    if free is None or required <= free:
        return ()
    return (
        f"The target has {disk_space.in_words(free)} of free space, and the restore needs about "
        f"{disk_space.in_words(required)} while it runs. Free some, restore fewer collections at "
        "a time, "
        "or choose another cluster.",
    )


def _unknown_room(required: int, free: int | None) -> tuple[str, ...]:
    if free is not None:
        return ()
    return (
        f"Nobody can tell how much free space the target has; the restore needs about "
        f"{disk_space.in_words(required)} while it runs.",
    )


def _of_another_version(manifest: Manifest, server: ServerInfo) -> tuple[str, ...]:
    taken = ServerInfo(version=manifest.capture.milvus_version)
    if taken.is_embedded == server.is_embedded and taken.number <= server.number:
        return ()
    what = "an older version" if taken.is_embedded == server.is_embedded else "another engine"
    return (
        f"The backup is of Milvus {taken.version}, the target is {server.version}, {what}: what it "
        "cannot take is named here as far as the console knows it.",
    )


def _lost_aliases(
    steps: Sequence[CollectionPlan], chosen: Sequence[CollectionContent]
) -> tuple[str, ...]:
    """A renamed collection leaves its aliases to whoever has them."""
    pairs = zip(steps, chosen, strict=True)
    lost = [(step, set(each.description.aliases) - set(step.aliases)) for step, each in pairs]
    return tuple(
        f"{step.target}: without alias {', '.join(sorted(names))}, which is taken."
        for step, names in lost
        if names
    )


def _lost_properties(
    manifest: Manifest, wish: RestoreOptions, target: RestoreTarget, server: ServerInfo
) -> tuple[str, ...]:
    """A database that is there is changed by no restore."""
    wanted = manifest.capture.database_properties
    if wanted is None:
        return ()
    if target.exists:
        found = list(losses.property_differences(target.properties, wanted))
        what = "is there already and keeps its own properties"
    else:
        kept = wanted if losses.keeps_database_properties(server) else {}
        found = list(losses.property_differences(kept, wanted))
        what = f"is made without properties, because Milvus {server.version} keeps none"
    return (f"Database '{wish.db_name}' {what}: {'; '.join(found)}.",) if found else ()


def _unknown_properties(manifest: Manifest, wish: RestoreOptions) -> tuple[str, ...]:
    if manifest.capture.database_properties is not None:
        return ()
    return (
        f"The backup is older than the keeping of database properties: which ones database "
        f"'{manifest.capture.database}' had is unknown, and '{wish.db_name}' gets none from it.",
    )


def _each(
    tell: Callable[[ServerInfo, CollectionDescription], tuple[str, ...]],
    server: ServerInfo,
    descriptions: Sequence[CollectionDescription],
) -> tuple[str, ...]:
    return tuple(text for each in descriptions for text in tell(server, each))
