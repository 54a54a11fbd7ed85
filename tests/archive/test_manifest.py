"""The manifest is one exact sequence of bytes, and says nothing twice in two ways."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.archive.codec import FormatError, canonical_json, strict_json
from backups.archive.description import CollectionDescription, DataType, FieldDescription
from backups.archive.manifest import Capture, Manifest, manifest_sha256, parse, serialize
from backups.archive.parts import Part, sha256_of
from backups.archive.scalars import Scalar
from tests.archive.conftest import BOOKS, manifest_of
from tests.archive.generated import SCALARS, descriptions


def vector_of(body: Any) -> Any:
    return body["collections"][0]["description"]["fields"][1]


def sealed_again(manifest: Manifest, change: Callable[[Any], object]) -> bytes:
    """Write a changed manifest with a matching hash, as a forger would."""
    body = manifest.to_json()
    change(body)
    return canonical_json({**body, "sha256": sha256_of(canonical_json(body))})


def test_it_comes_back_from_its_bytes(manifest: Manifest) -> None:
    assert parse(serialize(manifest)) == manifest


def test_it_is_canonical(manifest: Manifest) -> None:
    data = serialize(manifest)
    members = json.loads(data)
    assert data.decode() == json.dumps(
        members, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def test_its_hash_is_of_itself_without_that_member(manifest: Manifest) -> None:
    members = json.loads(serialize(manifest))
    found = members.pop("sha256")
    assert found == sha256_of(canonical_json(members))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: b" " + data,
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b",", b", ", 1),
        lambda data: data.replace(b"bak-1", b"b\\u0061k-1", 1),
        lambda data: b'{"backup_id":"bak-1",' + data[1:],
    ],
    ids=["newline", "space", "mark", "spaces", "escape", "twice"],
)
def test_it_refuses_the_same_content_in_other_bytes(
    manifest: Manifest, spoil: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(FormatError):
        parse(spoil(serialize(manifest)))


NO_SCALARS: list[object] = [
    *[{}, 1, None, {"x": 1}, {"int": 1, "string": "1"}, {"int": "1"}, {"int": True}],
    *[{"double": "00"}, {"bytes": "0G"}, {"bytes": "FF"}],
]
CHANGES: dict[str, Callable[[Any], object]] = {
    "unknown member": lambda body: body.update(more=1),
    "unknown inner member": lambda body: body["collections"][0]["parts"][0].update(more=1),
    "missing member": lambda body: body.pop("backup_id"),
    "wrong type": lambda body: body.update(rows="12"),
    "a boolean is no number": lambda body: body["collections"][0]["parts"][0].update(rows=True),
    "a later version": lambda body: body.update(format_version=4),
    "a version that is no number": lambda body: body.update(format_version=True),
    "a member of version 2 in version 1": lambda body: body.update(format_version=1),
    "a member of version 3 in version 2": lambda body: body.update(format_version=2),
    "no access control in version 3": lambda body: body.pop("access_control"),
    "a user twice": lambda body: body["access_control"]["users"].append("alice"),
    "more grants than a server has": lambda body: body["access_control"]["roles"][0].update(
        grants=body["access_control"]["roles"][0]["grants"] * 10_001
    ),
    "no properties in version 2": lambda body: body["capture"].pop("database_properties"),
    "another format": lambda body: body.update(format="other"),
    "wrong total of rows": lambda body: body.update(rows=body["rows"] + 1),
    "wrong total of bytes": lambda body: body.update(bytes=0),
    "wrong rows of a collection": lambda body: body["collections"][0].update(rows=1),
    "wrong checksum": lambda body: body["collections"][0].update(row_checksum="0" * 64),
    "a part left out": lambda body: body["collections"][0]["parts"].pop(0),
    "a part twice": lambda body: body["collections"][0]["parts"].append(
        body["collections"][0]["parts"][0]
    ),
    "parts in another order": lambda body: body["collections"][0]["parts"].reverse(),
    "a collection twice": lambda body: body["collections"].append(body["collections"][0]),
    "unknown type of field": lambda body: body["collections"][0]["description"]["fields"][0].update(
        data_type="INT128"
    ),
    "a partition that is not there": lambda body: body["collections"][0]["parts"][0].update(
        partition="other"
    ),
    "a path for a hash": lambda body: body["collections"][0]["parts"][0].update(
        sha256="../../etc/passwd"
    ),
    "a number beyond 64 bits": lambda body: body["collections"][0]["description"].update(
        num_partitions=2**63
    ),
    "a dimension that nobody can count": lambda body: vector_of(body)["params"].update(
        dim="9" * 5000
    ),
    "a dimension that nothing holds": lambda body: vector_of(body)["params"].update(dim="9" * 10),
    "no time": lambda body: body["capture"].update(captured_at="yesterday"),
    "a local time": lambda body: body["capture"].update(captured_at="2026-01-01T00:00:00+02:00"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_refuses_what_contradicts_itself_even_with_a_fitting_hash(
    manifest: Manifest, change: Callable[[Any], object]
) -> None:
    with pytest.raises(FormatError):
        parse(sealed_again(manifest, change))


NO_STRICT_JSON = [
    *["[]", "1.0", "NaN", "1e3", '{"a":1,"a":1}', "", "\xff", "9" * 5000, "[" * 100_000],
    *[r'{"\ud800":1}', r'{"format":"\udfff"}', str(2**63), str(-(2**63) - 1)],
]


@pytest.mark.parametrize("text", NO_STRICT_JSON, ids=lambda text: text[:12])
@pytest.mark.parametrize("read", [parse, manifest_sha256])
def test_it_refuses_what_is_no_strict_json_object(
    text: str, read: Callable[[bytes], object]
) -> None:
    with pytest.raises(FormatError):
        read(text.encode("latin-1"))


@pytest.mark.parametrize("text", [r'["\ud800"]', "9" * 5000, str(2**63), str(-(2**63) - 1)])
def test_strict_json_says_itself_what_it_refuses(text: str) -> None:
    with pytest.raises(FormatError):
        strict_json(text.encode())


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_what_64_bits_hold_is_read(number: int) -> None:
    assert strict_json(str(number).encode()) == number


def test_an_escaped_pair_is_one_character() -> None:
    assert strict_json(rb'"\ud83d\ude00 \\ud800"') == "\U0001f600 \\ud800"


def test_it_says_where_a_value_is_wrong(manifest: Manifest) -> None:
    data = sealed_again(manifest, lambda body: body["capture"].update(warnings=[1]))
    with pytest.raises(FormatError, match=r"\$\.capture\.warnings\[0\]: expected str, found int"):
        parse(data)


def test_it_takes_no_part_of_an_unknown_collection(manifest: Manifest) -> None:
    with pytest.raises(FormatError, match="notes"):
        manifest_of(list(manifest.parts), BOOKS)


def test_two_parts_that_share_a_file_count_its_bytes_once(manifest: Manifest) -> None:
    first = next(manifest.parts)
    shared = [first, dataclasses.replace(first, partition="old")]
    assert (manifest_of(shared, BOOKS).bytes, manifest_of(shared, BOOKS).rows) == (
        first.bytes,
        first.rows * 2,
    )


def test_a_part_comes_back_from_its_json(manifest: Manifest) -> None:
    part = next(manifest.parts)
    assert Part.from_json(json.loads(json.dumps(part.to_json()))) == part


@given(SCALARS)
def test_a_scalar_comes_back_with_its_type(scalar: Scalar) -> None:
    found = Scalar.from_json(strict_json(canonical_json(scalar.to_json())))
    assert (found, type(found.value)) == (scalar, type(scalar.value))


@given(st.integers(0, 2**64 - 1))
def test_every_bit_of_a_double_comes_back(bits: int) -> None:
    form = {"double": f"{bits:016x}"}
    signalling = 0x7FF0000000000000 < (bits & 0x7FFFFFFFFFFFFFFF) < 0x7FF8000000000000
    assert signalling or Scalar.from_json(form).to_json() == form


@pytest.mark.parametrize(
    "form",
    NO_SCALARS,
)
def test_a_scalar_of_no_known_form_is_refused(form: object) -> None:
    with pytest.raises(FormatError):
        Scalar.from_json(form)


@given(descriptions())
def test_a_description_comes_back_from_its_json(description: CollectionDescription) -> None:
    text = canonical_json(description.to_json())
    assert CollectionDescription.from_json(strict_json(text)) == description


def test_a_collection_has_one_primary_key() -> None:
    keyless = dataclasses.replace(
        BOOKS, fields=(FieldDescription(name="a", data_type=DataType.INT64),)
    )
    with pytest.raises(FormatError, match="0 primary keys"):
        manifest_of([], keyless)


def test_an_instant_is_in_utc() -> None:
    with pytest.raises(FormatError, match="not in UTC"):
        Capture(
            database="default",
            captured_at="2026-11-23T00:00:00+01:00",
            method="snapshot",
            milvus_version="3.2.2",
        )
