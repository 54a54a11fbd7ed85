"""Whatever is done to an archive is found, and the finding names the file."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME
from backups.archive.manifest import Manifest
from backups.archive.reader import ArchiveReader
from backups.archive.verify import check, findings
from backups.stores.local import LocalStore
from backups.stores.memory import MemoryStore
from tests.archive.conftest import ARCHIVE, small_contents, write_archive
from tests.archive.generated import Rows

LEAST_MUTATIONS = 5_000
FLIPS_IN_EACH_PART = 300
Mutation = tuple[str, str, Callable[[dict[str, bytes]], object]]
"""Description, the file that must be named, and the change."""


def on_disk(directory: Path) -> LocalStore:
    return LocalStore(directory, lists_temporary=True)


def named(directory: Path) -> list[str]:
    return [finding.file for finding in findings(on_disk(directory), "")]


def test_a_sound_archive_has_every_file_checked(store: MemoryStore, manifest: Manifest) -> None:
    checked = {each.file for each in check(store, ARCHIVE)}
    assert checked == {MANIFEST_NAME, *(part.name for part in manifest.parts)}
    assert findings(store, ARCHIVE) == []


def mutations(objects: dict[str, bytes]) -> Iterator[Mutation]:
    chosen = random.Random(7)
    for key, data in sorted(objects.items()):
        file = key.removeprefix(f"{ARCHIVE}/")
        yield from flips(key, file, data, chosen)
        yield from cuts_and_growths(key, file, data, chosen)
        yield from replacements(key, file, objects)
    yield from manifests_that_no_parser_likes(objects[f"{ARCHIVE}/{MANIFEST_NAME}"])
    yield from foreign_files(chosen)


def flips(key: str, file: str, data: bytes, chosen: random.Random) -> Iterator[Mutation]:
    """Every byte of the manifest; of a part its ends and many between; to any other value."""
    ends = [*range(64), *range(len(data) - 64, len(data))]
    most = len(data) if file == MANIFEST_NAME else FLIPS_IN_EACH_PART
    for at in sorted({*ends, *chosen.sample(range(len(data)), min(len(data), most))}):
        flipped = data[at] ^ chosen.randrange(1, 256)
        changed = data[:at] + bytes([flipped]) + data[at + 1 :]
        yield f"byte {at} changed", file, setter(key, changed)


def cuts_and_growths(key: str, file: str, data: bytes, chosen: random.Random) -> Iterator[Mutation]:
    for length in {0, 1, len(data) - 1, *chosen.sample(range(len(data)), 60)}:
        yield f"cut to {length}", file, setter(key, data[:length])
    for more in [b"\0", b"\n", b" ", b"}", b"PAR1", data]:
        yield f"grown by {len(more)}", file, setter(key, data + more)
    yield "moved by one", file, setter(key, data[1:] + data[:1])


def replacements(key: str, file: str, objects: dict[str, bytes]) -> Iterator[Mutation]:
    yield "removed", file, lambda changed: changed.pop(key)
    for other, data in objects.items():
        if other != key:
            yield f"swapped with {other}", file, swapper(key, other)
            yield f"overwritten by {other}", file, setter(key, data)


def manifests_that_no_parser_likes(data: bytes) -> Iterator[Mutation]:
    for what, old, new in [
        ("half a pair", b'"bak-1"', rb'"\ud800"'),
        ("half a pair in a name", b'"bytes":', rb'"\udc00":'),
        ("a very long number", b'"rows":16', b'"rows":' + b"9" * 5000),
        ("a long number", b'"rows":16', b'"rows":18446744073709551616'),
        ("a deep nest", b'"bak-1"', b"[" * 100_000),
    ]:
        assert old in data
        changed = data.replace(old, new, 1)
        yield what, MANIFEST_NAME, setter(f"{ARCHIVE}/{MANIFEST_NAME}", changed)


def foreign_files(chosen: random.Random) -> Iterator[Mutation]:
    sha256 = f"{chosen.randrange(16**64):064x}"
    for name in ["extra", "parts/extra", f"parts/{sha256}.parquet", "manifest.json.bak"]:
        yield "foreign", name, setter(f"{ARCHIVE}/{name}", b"")


def setter(key: str, data: bytes) -> Callable[[dict[str, bytes]], object]:
    return lambda changed: changed.update({key: data})


def swapper(key: str, other: str) -> Callable[[dict[str, bytes]], object]:
    return lambda changed: changed.update({key: changed[other], other: changed[key]})


def test_thousands_of_mutations_are_all_found_and_named(
    store: MemoryStore, manifest: Manifest
) -> None:
    original, tried, missed = dict(store.objects), 0, []
    for what, file, mutate in mutations(original):
        tried += 1
        mutate(store.objects)
        if file not in [finding.file for finding in findings(store, ARCHIVE)]:
            missed.append((what, file))
        store.objects = dict(original)
    assert (missed, tried >= LEAST_MUTATIONS) == ([], True)


def test_only_the_damaged_part_is_named(store: MemoryStore, manifest: Manifest) -> None:
    damaged = next(manifest.parts).name
    store.objects[f"{ARCHIVE}/{damaged}"] += b"\0"
    assert [finding.file for finding in findings(store, ARCHIVE)] == [damaged]


def test_a_reader_hands_out_no_row_of_a_damaged_part(
    store: MemoryStore, manifest: Manifest
) -> None:
    part = next(manifest.parts)
    key = f"{ARCHIVE}/{part.name}"
    store.objects[key] = store.objects[key][:-1] + b"\0"
    with pytest.raises(ArchiveDamaged, match=part.name):
        next(ArchiveReader(store, ARCHIVE).batches(part))


def test_a_reader_does_not_open_a_damaged_manifest(store: MemoryStore, manifest: Manifest) -> None:
    key = f"{ARCHIVE}/{MANIFEST_NAME}"
    store.objects[key] = store.objects[key].replace(b'"rows":16', b'"rows":17')
    with pytest.raises(ArchiveDamaged, match=r"manifest\.json: .*SHA-256"):
        ArchiveReader(store, ARCHIVE)


def test_without_a_manifest_every_file_is_named(store: MemoryStore, manifest: Manifest) -> None:
    store.delete(f"{ARCHIVE}/{MANIFEST_NAME}")
    parts = sorted(part.name for part in manifest.parts)
    assert [finding.file for finding in findings(store, ARCHIVE)] == [MANIFEST_NAME, *parts]


def test_a_sound_directory_is_sound(directory: Path) -> None:
    assert named(directory) == []


def test_it_names_a_foreign_directory_a_link_a_pipe_and_a_temporary_file(directory: Path) -> None:
    (directory / "empty").mkdir()
    (directory / "link").symlink_to(directory / MANIFEST_NAME)
    os.mkfifo(directory / "parts" / "pipe")
    (directory / ".incoming").mkdir()
    (directory / ".incoming" / "1-ab").write_bytes(b"")
    assert sorted(named(directory)) == [".incoming/1-ab", "empty", "link", "parts/pipe"]


def test_a_part_may_not_be_a_link_to_the_same_bytes(
    directory: Path, part_files: Callable[[], list[Path]]
) -> None:
    part = part_files()[0]
    part.rename(directory.parent / "elsewhere")
    part.symlink_to(directory.parent / "elsewhere")
    assert named(directory) == [f"parts/{part.name}"]


def test_a_part_may_not_be_a_directory(
    directory: Path, part_files: Callable[[], list[Path]]
) -> None:
    part = part_files()[0]
    part.unlink()
    part.mkdir()
    assert named(directory) == [f"parts/{part.name}"]


def test_a_foreign_name_cannot_play_with_the_terminal(directory: Path) -> None:
    (directory / "\x1b[2Jgone\n").write_bytes(b"")
    Path(os.fsdecode(bytes(directory) + b"/\xff")).write_bytes(b"")
    shown = [str(finding) for finding in findings(on_disk(directory), "")]
    assert [each.split(":")[0] for each in shown] == [r"\x1b[2Jgone\n", r"\udcff"]


def test_an_archive_without_rows_is_sound_with_and_without_a_directory_for_parts(
    tmp_path: Path,
) -> None:
    write_archive(LocalStore(tmp_path), [Rows(each.description, {}) for each in small_contents()])
    assert named(tmp_path / ARCHIVE) == []
    (tmp_path / ARCHIVE / "parts").mkdir()
    assert named(tmp_path / ARCHIVE) == []
