"""Findings of a preflight about backups that no server here could make."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from backups.archive.damage import ALL_PARTS, Finding
from backups.archive.description import (
    CollectionDescription,
    DataType,
    FieldDescription,
    FunctionDescription,
    IndexDescription,
    LoadDescription,
    LoadStatus,
)
from backups.archive.manifest import Capture, CollectionContent, Manifest
from backups.archive.parts import Part
from backups.archive.scalars import Scalar
from backups.milvus.server import ServerInfo
from backups.restore import disk_space
from backups.restore.preflight import Preflight, RestoreOptions, RestoreTarget, preflight

EMBEDDED = ServerInfo(version="milvus_lite-3.2.2")
NEW = ServerInfo(version="v2.6.3")
OLD = ServerInfo(version="v2.3.5")
KEY = FieldDescription(name="id", data_type=DataType.INT64, is_primary_key=True)
VECTOR = FieldDescription(name="vector", data_type=DataType.FLOAT_VECTOR, params={"dim": "128"})
PLENTY = 2**40
NO_PROPERTIES: Mapping[str, str] = {}


def collection(*fields: FieldDescription, **others: Any) -> CollectionDescription:
    return CollectionDescription(name="images", fields=(KEY, VECTOR, *fields), **others)


def index(kind: str, field: str = "vector") -> IndexDescription:
    return IndexDescription(field_name=field, index_name=field, params={"index_type": kind})


def manifest_of(
    description: CollectionDescription,
    *,
    of: ServerInfo,
    rows: int = 1000,
    size: int = 600_000,
    database_properties: Mapping[str, str] | None = NO_PROPERTIES,
) -> Manifest:
    content = dataclasses.replace(CollectionContent.of(description, ()), rows=rows, bytes=size)
    return Manifest(
        backup_id="bak-1",
        organization_id="acme",
        capture=Capture(
            database="default",
            captured_at="2026-11-22T09:15:00+00:00",
            method="timestamp",
            milvus_version=of.version,
            database_properties=database_properties,
        ),
        collections=(content,),
        rows=rows,
        bytes=size,
    )


def looked(
    description: CollectionDescription,
    server: ServerInfo = EMBEDDED,
    *,
    of: ServerInfo = NEW,
    free_bytes: int | None = PLENTY,
    rows: int = 1000,
    size: int = 600_000,
    db_name: str = "default",
    exists: bool = True,
) -> Preflight:
    manifest = manifest_of(description, of=of, rows=rows, size=size)
    target = RestoreTarget(exists=exists, aliases_of={})
    return preflight(manifest, RestoreOptions(db_name=db_name), target, server, free_bytes)


# room


def test_too_little_room_is_refused_with_figures() -> None:
    found = looked(collection(), free_bytes=10 * 2**20)
    assert not found.is_clear
    assert "has 10.0 MB of free space" in found.refusals[0]
    assert disk_space.in_words(found.required_bytes) in found.refusals[0]


def test_enough_room_is_no_matter() -> None:
    found = looked(collection(), free_bytes=looked(collection()).required_bytes)
    assert (found.is_clear, found.refusals, found.free_bytes) == (True, (), found.required_bytes)


def test_room_that_nobody_can_tell_is_said_and_stops_nothing() -> None:
    found = looked(collection(), of=EMBEDDED, free_bytes=None)
    assert found.is_clear
    assert "The free space of the target is unknown." in found.notes[0]


def test_vectors_that_the_archive_packs_well_need_their_room_all_the_same() -> None:
    packed = looked(collection(), rows=1_000_000, size=1000)
    assert packed.required_bytes == disk_space.FACTOR * 1_000_000 * 128 * 4 + disk_space.LOG_BYTES


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KB"), (2**40, "1.0 TB")],
)
def test_sizes_are_told_in_words(count: int, words: str) -> None:
    assert disk_space.in_words(count) == words


# versions


def test_an_older_target_is_said() -> None:
    (note,) = looked(collection(), OLD, of=NEW).notes
    assert "is from Milvus v2.6.3; the target is an older version, v2.3.5" in note


def test_a_target_of_the_same_version_or_a_newer_one_is_not_worth_a_word() -> None:
    assert looked(collection(), NEW, of=OLD).notes == ()
    assert looked(collection(), EMBEDDED, of=EMBEDDED).notes == ()


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (FieldDescription(name="half", data_type=DataType.FLOAT16_VECTOR), "has the type FLOAT16"),
        (FieldDescription(name="n", data_type=DataType.INT8, nullable=True), "is nullable"),
    ],
)
def test_what_an_older_server_cannot_hold_is_refused(field: FieldDescription, said: str) -> None:
    field = dataclasses.replace(field, params={"dim": "8"})
    found = looked(collection(field), OLD)
    assert any(said in text for text in found.refusals)


def test_an_index_on_vectors_that_a_full_server_lacks_is_refused() -> None:
    found = looked(collection(indexes=(index("HNSW_SQ"),)), OLD)
    assert "'vector' has an index of type HNSW_SQ" in found.refusals[0]


def test_an_index_that_the_embedded_engine_lacks_is_left_out_and_said() -> None:
    found = looked(collection(indexes=(index("DISKANN"), index("BITMAP", "id"))))
    assert found.is_clear
    assert (
        "the index of 'vector' is not created, because this server does not support DISKANN"
        in (found.warnings[0])
    )
    assert "not support BITMAP" in found.warnings[1]


def test_what_the_embedded_engine_does_not_keep_is_said() -> None:
    found = looked(collection(description="Of cats.", consistency_level="Bounded", shards=4))
    assert found.warnings == (
        "images: this server does not store its description, its consistency level, its shards.",
    )


def test_json_that_is_spelled_anew_is_said_and_compared_all_the_same() -> None:
    found = looked(collection(enable_dynamic_field=True))
    assert "rewrites the JSON of dynamic fields" in found.warnings[0]
    assert found.proves


def test_what_the_embedded_engine_gave_it_takes_back_without_a_word() -> None:
    own = {"consistency_level": "Strong", "shards": 1, "enable_dynamic_field": True}
    found = looked(collection(indexes=(index("HNSW"),), **own), of=EMBEDDED)
    assert (found.warnings, found.notes, found.refusals) == ((), (), ())


# Names of an archive that comes from elsewhere


def renamed(**changes: Any) -> CollectionDescription:
    return dataclasses.replace(collection(), **changes)


WAY = "../../stranger"
LONG = "f" * 173


@pytest.mark.parametrize(
    ("description", "name"),
    [
        (renamed(name=WAY), WAY),
        (renamed(partitions=("_default", WAY)), WAY),
        (renamed(partitions=("_default", "_all")), "_all"),
        (renamed(aliases=(WAY,)), WAY),
        (renamed(load=LoadDescription(partitions=(WAY,))), WAY),
        (renamed(load=LoadDescription(fields=(WAY,))), WAY),
        (collection(FieldDescription(name=WAY, data_type=DataType.INT64)), WAY),
        (collection(FieldDescription(name="a\nb", data_type=DataType.INT64)), r"a\nb"),
        (collection(FieldDescription(name=LONG, data_type=DataType.INT64)), LONG[:80]),
        (renamed(indexes=(index("FLAT", field=WAY),)), WAY),
        (renamed(indexes=(index(WAY),)), WAY),
        (
            renamed(
                functions=(
                    FunctionDescription(
                        name="f", type="BM25", input_field_names=(WAY,), output_field_names=()
                    ),
                )
            ),
            WAY,
        ),
        (renamed(name="_vbase_mine"), "_vbase_mine"),
        (renamed(aliases=("_vbase_mine",)), "_vbase_mine"),
    ],
)
def test_a_name_that_the_engine_cannot_give_is_refused_and_named(
    description: CollectionDescription, name: str
) -> None:
    refusals = looked(description).refusals
    assert any(f"'{name}" in text for text in refusals), refusals


def test_a_database_that_cannot_be_made_is_refused() -> None:
    refusals = looked(collection(), db_name="日本", exists=False).refusals
    assert "'日本' cannot be the name of a database" in refusals[0]


def test_a_database_that_is_there_needs_no_name_any_more() -> None:
    assert not looked(collection(), db_name="日本").refusals


@pytest.mark.parametrize("name", [LONG, "a\nb", "_all"])
def test_a_full_server_decides_about_its_names_itself(name: str) -> None:
    assert not looked(renamed(partitions=("_default", name)), NEW).refusals


def test_what_no_server_can_hold_is_refused_for_a_full_one_too() -> None:
    assert f"'{WAY}'" in looked(renamed(partitions=("_default", WAY)), NEW).refusals[0]


# properties of databases


def with_properties(
    properties: dict[str, str] | None, target: RestoreTarget, server: ServerInfo
) -> Preflight:
    manifest = manifest_of(collection(), of=NEW, database_properties=properties)
    return preflight(manifest, RestoreOptions(db_name="shop"), target, server, PLENTY)


NO_DATABASE = RestoreTarget(exists=False, aliases_of={})


def test_a_server_without_properties_of_databases_loses_each_by_name() -> None:
    (said,) = with_properties({"timezone": "Asia/Tokyo"}, NO_DATABASE, OLD).warnings
    assert said == (
        "Database 'shop' is created without properties, because Milvus v2.3.5 does not store any: "
        "timezone is 'Asia/Tokyo' in the backup and not set there."
    )


def test_nothing_is_said_where_they_come_back() -> None:
    assert with_properties({"timezone": "Asia/Tokyo"}, NO_DATABASE, NEW).warnings == ()


def test_the_mark_of_a_restore_is_no_difference() -> None:
    target = RestoreTarget(exists=True, aliases_of={}, properties={"vbase_restore": "job-1"})
    assert with_properties({}, target, NEW).warnings == ()


def test_an_archive_that_did_not_hold_them_says_so() -> None:
    found = with_properties(None, NO_DATABASE, NEW)
    assert "are unknown, because the backup has an older format" in found.notes[-1]
    assert found.warnings == ()


# what is lost beside rows


@pytest.mark.parametrize(
    ("load", "lost"),
    [
        ({"partitions": ("_default",)}, "which of its partitions are loaded (all are)"),
        ({"replicas": 2}, "more than one replica"),
    ],
)
def test_how_it_was_loaded_is_lost_by_name(load: dict[str, Any], lost: str) -> None:
    load_description = LoadDescription(status=LoadStatus.LOADED, **load)
    assert lost in looked(collection(load=load_description)).warnings[0]


def test_parameters_of_fields_that_the_embedded_engine_drops_are_said() -> None:
    mapped = dataclasses.replace(VECTOR, name="big", params={"dim": "8", "mmap.enabled": "true"})
    (said,) = looked(collection(mapped)).warnings
    assert said == "images: this server does not store the parameter mmap.enabled of field 'big'."


def test_rows_that_expire_begin_a_new_life() -> None:
    expiring = collection(properties={"collection.ttl.seconds": "3600"})
    assert "expire 3600 s after the restore" in looked(expiring, NEW).warnings[0]
    assert looked(collection(properties={"collection.ttl.seconds": "0"}), NEW).warnings == ()


# damage


def with_parts(*findings: Finding) -> Preflight:
    """Preflight of a backup of two collections with one part each: `images` and `texts`."""
    contents = []
    for name, digit in (("images", "1"), ("texts", "2")):
        description = dataclasses.replace(collection(), name=name)
        empty = CollectionContent.of(description, ())
        part = Part(
            collection=name,
            partition="_default",
            number=0,
            rows=1,
            bytes=1,
            sha256=digit * 64,
            key_min=Scalar(value=1),
            key_max=Scalar(value=1),
            schema=empty.schema,
            row_checksum="0" * 64,
        )
        contents.append(dataclasses.replace(empty, parts=(part,), rows=1))
    whole = manifest_of(collection(), of=NEW)
    manifest = dataclasses.replace(whole, collections=tuple(contents))
    wish = RestoreOptions(db_name="default")
    target = RestoreTarget(exists=True, aliases_of={})
    return preflight(manifest, wish, target, NEW, PLENTY, findings)


MISSING = Finding(f"parts/{'1' * 64}.parquet", "it is missing")


def test_a_collection_with_a_damaged_part_is_refused_and_the_file_named() -> None:
    found = with_parts(MISSING)
    (refusal,) = found.refusals
    assert refusal == (
        f"The backup is damaged in collection 'images': {MISSING}. Leave the "
        "collection out, or restore it from another backup."
    )


def test_all_that_is_known_to_be_damaged_is_a_warning() -> None:
    assert f"The backup is damaged: {MISSING}." in with_parts(MISSING).warnings[0]


def test_a_foreign_file_keeps_no_collection_from_being_restored() -> None:
    found = with_parts(Finding("notes.txt", "this file does not belong to the archive"))
    assert (found.is_clear, len(found.warnings)) == (True, 1)


def test_damage_of_all_parts_refuses_every_collection() -> None:
    assert len(with_parts(Finding(ALL_PARTS, "2000 files are missing")).refusals) == 2


def test_a_sound_backup_is_not_worth_a_word() -> None:
    assert (with_parts().warnings, with_parts().refusals) == ((), ())
