"""The table of settings in docs/operations.md is what is read, and wrong values are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from vbase_console.settings import env
from vbase_console.settings.connections import broker_options, database_settings

PROJECT = Path(__file__).resolve().parents[2]
READ = re.compile(r"""\benv_(\w+)\(\s*"(VBASE_[A-Z_]+)\"""")
DOCUMENTED = re.compile(r"^\| `(VBASE_[A-Z_]+)(\[_FILE\])?` \|", re.MULTILINE)
READERS = {
    "str": lambda name: env.env_str(name, "x"),
    "bool": lambda name: env.env_bool(name, True),
    "int": lambda name: env.env_int(name, 5, least=1, most=9),
    "float": lambda name: env.env_float(name, 5, least=1, most=9),
    "email": lambda name: env.env_email(name, "x@example.com"),
    "choice": lambda name: env.env_choice(name, "a", ("a", "b")),
    "networks": lambda name: env.env_networks(name, ["loopback"]),
}


def read_by_the_code() -> set[tuple[str, bool]]:
    """Every variable, and whether it may stand in a file."""
    files = [path for top in ("vbase_console", "clusters", "backups") for path in _modules(top)]
    found = [match for path in files for match in READ.findall(path.read_text())]
    return {(name, reader == "secret") for reader, name in found}


def _modules(top: str) -> list[Path]:
    return list((PROJECT / top).rglob("*.py"))


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text()
    documented = {(name, bool(file)) for name, file in DOCUMENTED.findall(text)}
    assert documented == read_by_the_code()


def test_nothing_else_reads_the_consoles_environment() -> None:
    direct = re.compile(r"""(environ|getenv)\W+(get\W+)?["']VBASE_""")
    readers = {path.name for path in _modules("vbase_console") if direct.search(path.read_text())}
    assert readers == {
        "test.py",  # sets defaults of its own
        "__main__.py",  # of the supervisor: sees to it that others can read it
        "startup.py",  # reads it of other processes
    }


@pytest.mark.parametrize(
    ("reader", "value", "message"),
    [
        ("bool", "perhaps", "'perhaps'. It must be true or false"),
        ("int", "many", "'many'. It must be a whole number"),
        ("int", "10", "is 10. It must be between 1 and 9"),
        ("float", "0.5", "is 0.5. It must be between 1 and 9"),
        ("email", "owner", "'owner'. It must be an e-mail address"),
        ("choice", "c", "'c'. It must be one of a, b"),
        ("networks", "10.0.0.1/8", "'10.0.0.1/8'. It must be a list of CIDRs and the words"),
    ],
)
def test_a_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, reader: str, value: str, message: str
) -> None:
    monkeypatch.setenv("VBASE_TRIED", value)
    with pytest.raises(ImproperlyConfigured, match=f"VBASE_TRIED.*{re.escape(message)}"):
        READERS[reader]("VBASE_TRIED")


@pytest.mark.parametrize(("reader", "default"), [("str", "x"), ("bool", True), ("int", 5)])
def test_an_empty_value_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, reader: str, default: object
) -> None:
    monkeypatch.setenv("VBASE_TRIED", "  ")
    assert READERS[reader]("VBASE_TRIED") == default


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden\n")
    monkeypatch.setenv("VBASE_TRIED_FILE", str(tmp_path / "secret"))
    assert env.env_secret("VBASE_TRIED") == "hidden"


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VBASE_TRIED", "one")
    monkeypatch.setenv("VBASE_TRIED_FILE", "/two")
    with pytest.raises(ImproperlyConfigured, match="both set"):
        env.env_secret("VBASE_TRIED")


@pytest.mark.parametrize("url", ["mysql://x/y", "console.sqlite3", "postgres"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="VBASE_DATABASE_URL"):
        database_settings(url)


@pytest.mark.parametrize("url", ["", "memory://", "sqla+sqlite:///x", "filesystem://"])
def test_a_broker_that_loses_messages_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="VBASE_BROKER_URL"):
        broker_options(url, 30)
