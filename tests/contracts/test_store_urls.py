"""Backup stores are chosen by URL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from backups import connections
from backups.stores import load_store
from backups.stores.base import put
from backups.stores.local import LocalStore
from backups.stores.memory import MemoryStore
from vbase_console.settings.env import env_store_url


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}", "FILE://{}"])
def test_a_path_and_a_file_url_name_the_same_directory(tmp_path: Path, form: str) -> None:
    store = load_store(form.format(tmp_path / "backups"))
    put(store, "a/b", b"rows")
    assert (tmp_path / "backups/a/b").read_bytes() == b"rows"


def test_a_file_url_is_decoded(tmp_path: Path) -> None:
    put(load_store(f"file://{tmp_path}/my%20backups%3F"), "a", b"rows")
    assert (tmp_path / "my backups?/a").read_bytes() == b"rows"


def test_a_memory_url_names_a_store_in_memory() -> None:
    assert isinstance(load_store("memory://"), MemoryStore)


def test_an_unknown_scheme_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"'gs'\. Use a path or one of file://, s3://, memory://\."
    ):
        load_store("gs://bucket/backups")


def test_a_refusal_does_not_repeat_a_credential() -> None:
    with pytest.raises(ValueError, match="without credentials") as refused:
        load_store("s3://key:hidden@bucket")
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *["file://", "file://server/share", "file:relative", "file:///a?b", "file:///a#b"],
        *["file:///a%00b", "memory://host", "memory:///path", "s3:bucket"],
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        load_store(url)


def test_only_the_chosen_store_is_imported() -> None:
    program = (
        "import sys; from backups.stores import load_store; load_store('memory://'); "
        "print('backups.stores.local' in sys.modules, 'django' in sys.modules)"
    )
    answer = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert answer.split() == ["False", "False"]


@pytest.fixture
def fresh_store() -> Iterator[None]:
    connections.get_store.cache_clear()
    yield
    connections.get_store.cache_clear()


@pytest.mark.usefixtures("fresh_store")
@override_settings(BACKUP_STORE="memory://")
def test_the_console_uses_the_store_of_its_settings() -> None:
    assert isinstance(connections.get_store(), MemoryStore)


def test_a_relative_path_in_the_environment_becomes_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VBASE_TRIED", "backups")
    assert env_store_url("VBASE_TRIED", tmp_path) == str(tmp_path / "backups")


def test_a_url_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VBASE_TRIED", "memory://")
    assert env_store_url("VBASE_TRIED", tmp_path) == "memory://"


def test_the_default_of_the_environment_is_a_directory(tmp_path: Path) -> None:
    assert isinstance(load_store(env_store_url("VBASE_TRIED", tmp_path)), LocalStore)


def test_an_unknown_scheme_in_the_environment_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VBASE_TRIED", "gs://bucket")
    with pytest.raises(ImproperlyConfigured, match=r"VBASE_TRIED.*'gs'.*file://"):
        env_store_url("VBASE_TRIED", tmp_path)
