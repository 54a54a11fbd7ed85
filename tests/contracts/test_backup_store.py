"""The contract of a backup store, for all stores."""

from __future__ import annotations

import datetime
import os
import resource
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from backups.stores import load_store, s3
from backups.stores.base import (
    EntryKind,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
    Store,
    StoreEntry,
    StoreError,
    StoreFull,
    checked_key,
    put,
)
from backups.stores.local import LocalStore
from backups.stores.memory import MemoryStore
from backups.stores.s3 import S3Store

NOW = datetime.timedelta(0)
HOUR = datetime.timedelta(hours=1)
LEADING_ELSEWHERE = [
    *["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../b", ".", "a/./b"],
    *[".hidden", "a\\b", "ä", "a b", "-rf", "~", "C:x"],
]


@pytest.fixture(params=["local", "local through a link", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "s3":
        return load_store(request.getfixturevalue("s3_url"))
    if request.param == "local through a link":
        (tmp_path / "behind").mkdir()
        (tmp_path / "root").symlink_to(tmp_path / "behind")
    return LocalStore(tmp_path / "root")


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "root")


def keys(store: Store, prefix: str = "") -> list[str]:
    return [entry.key for entry in store.list(prefix)]


def test_it_gives_back_what_was_put(store: Store) -> None:
    put(store, "a/b/c.bin", b"\x00\xff" * 100_000)
    assert store.read("a/b/c.bin", limit=1 << 30) == b"\x00\xff" * 100_000


def test_it_reads_no_more_than_asked(store: Store) -> None:
    put(store, "a", b"12345")
    assert store.read("a", limit=3) == b"123"


def test_it_streams(store: Store) -> None:
    put(store, "a", b"12345")
    with store.open("a") as stream:
        assert (stream.read(2), stream.seek(4), stream.read()) == (b"12", 4, b"5")


def test_it_keeps_an_empty_object(store: Store) -> None:
    put(store, "empty", b"")
    assert (store.size("empty"), store.read("empty", limit=10)) == (0, b"")


def test_it_publishes_what_was_written_in_pieces(store: Store) -> None:
    with store.stage() as staged:
        staged.write(b"one ")
        staged.write(memoryview(b"two"))
        staged.publish("x/y")
    assert store.read("x/y", limit=100) == b"one two"


def test_it_never_overwrites(store: Store) -> None:
    put(store, "a/b", b"first")
    with pytest.raises(ObjectExists, match="a/b"):
        put(store, "a/b", b"second")
    assert store.read("a/b", limit=100) == b"first"


def test_it_shows_nothing_before_it_is_published(store: Store) -> None:
    with store.stage() as staged:
        staged.write(b"half")
        assert keys(store) == []


def test_it_forgets_what_was_never_published(store: Store) -> None:
    with store.stage() as staged:
        staged.write(b"half")
    assert (keys(store), store.sweep(NOW)) == ([], 0)


def test_it_forgets_what_failed_midway(store: Store) -> None:
    with suppress(ZeroDivisionError), store.stage() as staged:
        staged.write(b"half")
        raise ZeroDivisionError
    assert (keys(store), store.sweep(NOW)) == ([], 0)


def test_it_passes_on_errors_that_are_not_its_own(store: Store) -> None:
    with pytest.raises(FileNotFoundError, match="somebody else"), store.stage():
        raise FileNotFoundError("somebody else's")


def test_of_two_that_publish_one_key_one_loses(store: Store) -> None:
    outcomes = []

    def publish(data: bytes) -> None:
        with suppress(ObjectExists):
            put(store, "same", data)
            outcomes.append(data)

    threads = [threading.Thread(target=publish, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [store.read("same", limit=100)]


def test_it_lists_with_sizes_in_order(store: Store) -> None:
    for key in ["b/z", "b/a/x", "b/a.x", "a"]:
        put(store, key, key.encode())
    assert list(store.list("")) == [
        StoreEntry(key=key, size=len(key)) for key in ["a", "b/a.x", "b/a/x", "b/z"]
    ]


def test_it_lists_below_a_prefix_and_not_what_starts_alike(store: Store) -> None:
    for key in ["org/one/x", "org/one-more/x", "org/one.x"]:
        put(store, key, b"")
    assert keys(store, "org/one") == ["org/one/x"]


def test_it_lists_from_behind_any_key(store: Store) -> None:
    stored = ["a/1", "org/a/1", "org/a/2", "org/b/1", "z"]
    for key in reversed(stored):
        put(store, key, b"")
    for number, key in enumerate(stored):
        assert [entry.key for entry in store.list("", after=key)] == stored[number + 1 :]
    assert [entry.key for entry in store.list("org", after="org/a/2")] == ["org/b/1"]


def test_it_lists_nothing_where_there_is_nothing(store: Store) -> None:
    assert keys(store, "no/such") == []


def test_an_empty_object_is_not_overwritten_either(store: Store) -> None:
    put(store, "a", b"")
    with pytest.raises(ObjectExists):
        put(store, "a", b"")


def test_it_says_what_is_missing(store: Store) -> None:
    with pytest.raises(ObjectMissing, match="no/such"):
        store.open("no/such")
    assert store.size("no/such") is None


def test_it_deletes_as_often_as_asked(store: Store) -> None:
    put(store, "a/b", b"")
    store.delete("a/b")
    store.delete("a/b")
    assert store.size("a/b") is None


def test_it_deletes_below_a_prefix_as_often_as_asked(store: Store) -> None:
    for key in ["org/one/x", "org/one/y/z", "org/two/x"]:
        put(store, key, b"")
    assert (store.delete_prefix("org/one"), store.delete_prefix("org/one")) == (2, 0)
    assert keys(store) == ["org/two/x"]


def test_a_deleted_key_can_be_put_again(store: Store) -> None:
    put(store, "a", b"first")
    store.delete("a")
    put(store, "a", b"second")
    assert store.read("a", limit=100) == b"second"


@pytest.mark.parametrize(
    "key",
    LEADING_ELSEWHERE,
)
def test_it_refuses_names_that_lead_elsewhere(store: Store, key: str) -> None:
    with pytest.raises(KeyRefused):
        put(store, key, b"")
    for refusing in [store.open, store.size, store.delete, store.delete_prefix]:
        with pytest.raises(KeyRefused):
            refusing(key)


@pytest.mark.parametrize("key", ["a\0b", "a\nb", "a\n", "a" * 256])
def test_it_refuses_names_that_no_directory_could_hold(store: Store, key: str) -> None:
    with pytest.raises(KeyRefused):
        put(store, key, b"")


def test_a_key_is_its_names() -> None:
    assert checked_key("one/Two_3/x-y.z") == ("one", "Two_3", "x-y.z")


def test_it_sweeps_only_what_is_old(store: Store) -> None:
    """An upload is in memory until it is published, so that S3 has nothing to sweep."""
    left = 0 if isinstance(store, S3Store) else 1
    with store.stage() as staged:
        staged.write(b"half")
        assert (store.sweep(HOUR), store.sweep(NOW)) == (0, left)


def test_it_tells_the_free_space_or_that_it_does_not_know(store: Store) -> None:
    free = store.free_bytes()
    assert free is None or free > 0


def test_a_full_memory_store_keeps_nothing_half_written() -> None:
    store = MemoryStore(capacity=10)
    with pytest.raises(StoreFull):
        put(store, "a", b"x" * 11)
    assert (keys(store), store.free_bytes()) == ([], 10)


# What only a directory can get wrong.


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond, which for us is a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


@pytest.mark.parametrize("size", [1, 5_000, 2_000_000])
def test_a_full_disk_leaves_nothing_half(local: LocalStore, tmp_path: Path, size: int) -> None:
    with files_at_most(size - 1), pytest.raises(StoreFull, match="File too large"):
        put(local, "a", b"x" * size)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_killed_writer_leaves_only_what_a_sweep_removes(local: LocalStore) -> None:
    child = os.fork()
    if not child:
        with local.stage() as staged:
            staged.write(b"half" * 100_000)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (keys(local), local.sweep(NOW), local.sweep(NOW)) == ([], 1, 0)


@pytest.mark.parametrize("there", ["", "root", "root/a/b"], ids=["nothing", "root", "all"])
def test_every_directory_on_the_way_is_flushed_whoever_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """A name that a worker made and did not live to flush must not be lost in a power cut."""
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    flushed, fsync = set(), os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda open_: (flushed.add(os.fstat(open_).st_ino), fsync(open_))
    )
    put(LocalStore(tmp_path / "root"), "a/b/c", b"")
    on_the_way = [tmp_path, *(tmp_path / name for name in ("root", "root/a", "root/a/b"))]
    assert {path.stat().st_ino for path in on_the_way} <= flushed


def test_a_root_far_below_is_made(tmp_path: Path) -> None:
    put(LocalStore(tmp_path / "far" / "below"), "a", b"")
    assert stat.S_IMODE((tmp_path / "far" / "below").stat().st_mode) == 0o700


def test_only_the_owner_may_read(local: LocalStore) -> None:
    put(local, "a/b", b"")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [*Path(local.root).rglob("*")]}
    assert modes == {0o600, 0o700}


ACTS: dict[str, Callable[[Store], object]] = {
    "open": lambda store: store.open("link/secret"),
    "delete": lambda store: store.delete_prefix("link/secret"),
    "list": lambda store: list(store.list("link")),
    "put": lambda store: put(store, "link/new", b""),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_it_follows_no_link_out_of_the_store(
    local: LocalStore, tmp_path: Path, act: Callable[[Store], object]
) -> None:
    put(local, "a/b", b"")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="a directory without symbolic links"):
        act(local)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_deleting_a_link_leaves_what_it_points_at(local: LocalStore, tmp_path: Path) -> None:
    put(local, "a/b", b"")
    (tmp_path / "outside").write_text("kept")
    (tmp_path / "root" / "a" / "link").symlink_to(tmp_path / "outside")
    assert (local.delete_prefix("a"), (tmp_path / "outside").read_text()) == (2, "kept")


def test_it_lists_what_is_no_object_by_its_kind(local: LocalStore) -> None:
    put(local, "a/b", b"")
    os.symlink("b", f"{local.root}/a/c")
    os.mkdir(f"{local.root}/a/d")
    os.mkfifo(f"{local.root}/a/e")
    assert [entry.kind for entry in local.list("a")] == [
        EntryKind.OBJECT,
        EntryKind.LINK,
        EntryKind.EMPTY_DIRECTORY,
        EntryKind.SPECIAL,
    ]


def test_it_does_not_wait_for_a_pipe(local: LocalStore) -> None:
    put(local, "a/b", b"")
    os.mkfifo(f"{local.root}/a/pipe")
    with pytest.raises(StoreError, match="not a regular file"):
        local.open("a/pipe")


def test_it_lists_names_that_are_no_keys_and_deletes_them(local: LocalStore) -> None:
    put(local, "a/b", b"")
    Path(os.fsdecode(f"{local.root}/a/".encode() + b"\xff x\n")).write_bytes(b"")
    assert len(keys(local, "a")) == 2
    assert local.delete_prefix("a") == 2


def test_it_can_show_temporary_files(local: LocalStore) -> None:
    with local.stage() as staged:
        staged.write(b"half")
        shown = list(LocalStore(local.root, lists_temporary=True).list(""))
    assert [entry.key.split("/")[0] for entry in shown] == [".incoming"]


def test_it_lists_a_directory_behind_one_with_a_longer_name(local: LocalStore) -> None:
    """`-` is before `/`."""
    for key in ["org-x/y", "org/a-b/1", "org/a/1"]:
        put(local, key, b"")
    listed = [entry.key for entry in local.list("", after="org-x/y")]
    assert listed == ["org/a-b/1", "org/a/1"]


# Only S3 has pages.


def test_it_lists_and_deletes_over_several_pages(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAGE_SIZE", 2)
    store = load_store(s3_url)
    for key in ["a/1", "a/2", "a/3", "a-b/1", "a.b/1", "b/1", "c"]:
        put(store, key, b"")
    assert sorted(keys(store)) == ["a-b/1", "a.b/1", "a/1", "a/2", "a/3", "b/1", "c"]
    assert keys(store, "a") == ["a/1", "a/2", "a/3"]
    assert store.delete_prefix("a") == 3
