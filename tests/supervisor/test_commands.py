"""Management commands of the console."""

from __future__ import annotations

import io
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from tests.live import PROJECT, Console
from vbase_console.organizations.authentication import principal_of_key
from vbase_console.organizations.models import ApiKey, AuditEntry, Organization
from vbase_console.organizations.scopes import ALL_SCOPES

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    """Return standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_prints_a_key_alone(organization: Organization) -> None:
    key, _ = run("issue_api_key", "--organization", organization.name, "--name", "ci")
    assert len(key.split()) == 1
    assert principal_of_key(key.strip()).scopes == frozenset(ALL_SCOPES)


def test_a_key_from_a_shell_is_on_record_and_never_the_key_itself(
    organization: Organization,
) -> None:
    chosen = ["--scopes", "GetCluster"]
    key, _ = run("issue_api_key", "--organization", organization.name, "--name", "ci", *chosen)
    row = AuditEntry.objects.get()
    assert (row.principal, row.interface, row.source) == ("manage.py", "COMMAND", None)
    assert (row.action, row.object_id) == ("IssueApiKey", ApiKey.objects.get().prefix)
    assert row.detail == "scopes: GetCluster"
    assert key.strip().partition(".")[2] not in f"{row.object_id} {row.detail}"


def test_a_key_without_its_row_is_not_issued(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr("vbase_console.organizations.audit.AuditEntry.objects.create", broken)
    with pytest.raises(CommandError, match="the disk is full"):
        run("issue_api_key", "--organization", organization.name, "--name", "ci")
    assert not ApiKey.objects.exists()


def test_it_issues_a_key_with_chosen_scopes(organization: Organization) -> None:
    chosen = ["--scopes", "GetCluster, ListVBaseService"]
    key, _ = run("issue_api_key", "--organization", organization.name, "--name", "ci", *chosen)
    assert principal_of_key(key.strip()).scopes == {"GetCluster", "ListVBaseService"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--organization", "nobody", "--name", "ci"],
            "Organization 'nobody' not found. Existing organizations: acme",
        ),
        (["--organization", "acme", "--name", "ci", "--scopes", "Fly"], "Unknown scopes: Fly"),
        (["--organization", "acme", "--name", "ci", "--scopes", ","], "at least one scope"),
        (["--organization", "acme", "--name", " "], "name: Use a name of 1 to 50 characters"),
    ],
)
def test_it_says_why_it_issues_no_key(
    organization: Organization, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run("issue_api_key", *arguments)
    assert not ApiKey.objects.exists()


def test_it_makes_an_organization_and_prints_its_id_alone() -> None:
    out, err = run("create_organization", "--name", "other", "--owner", "Owner@example.com")
    assert Organization.objects.get(name="other").pk == uuid.UUID(out.strip())
    assert "manage.py changepassword owner@example.com" in err


def test_an_organization_from_a_shell_begins_its_history_with_that() -> None:
    run("create_organization", "--name", "other", "--owner", "owner@example.com")
    row = AuditEntry.objects.get()
    assert (row.organization.name, row.principal, row.interface) == (
        "other",
        "manage.py",
        "COMMAND",
    )
    assert (row.action, row.object_id) == ("CreateOrganization", "other")
    assert row.detail == "owner: owner@example.com"


def test_an_owner_who_can_sign_in_is_told_nothing(organization: Organization) -> None:
    _, err = run("create_organization", "--name", "other", "--owner", "alice@example.com")
    assert err == ""


@pytest.mark.parametrize(
    ("name", "owner", "message"),
    [
        ("acme", "alice@example.com", "already exists"),
        ("", "alice@example.com", "name"),
        ("other", "somebody", "--owner is 'somebody'. It must be an e-mail"),
    ],
)
def test_it_says_why_it_makes_no_organization(
    organization: Organization, name: str, owner: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_organization", "--name", name, "--owner", owner)
    assert Organization.objects.count() == 1


def test_preparing_makes_the_owner_once_and_switches_sqlite_to_wal(tmp_path: Path) -> None:
    """The password comes from a pipe, which can be read once and in which nothing comes after."""
    os.mkfifo(pipe := tmp_path / "password")
    given = {"VBASE_OWNER_EMAIL": "olga@example.com", "VBASE_OWNER_PASSWORD_FILE": str(pipe)}
    fresh = Console(tmp_path / "data", **given)
    threading.Thread(target=pipe.write_text, args=("given by olga\n",), daemon=True).start()
    assert "Sign in as olga@example.com with the password that you configured" in fresh.manage(
        "prepare"
    )
    fresh.environment["VBASE_OWNER_EMAIL"] = "another@example.com"
    again = fresh.manage("prepare")
    assert "Sign in as olga@example.com." in again
    assert f"VBASE_DATA_DIR={fresh.data_dir} " in again
    assert "manage.py changepassword olga@example.com" in again
    assert stat.S_IMODE((fresh.data_dir / "console.sqlite3").stat().st_mode) == 0o600
    with sqlite3.connect(fresh.data_dir / "console.sqlite3") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


KILLED_WHILE_RECORDING = """
import os
import django
django.setup()
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder

record = MigrationRecorder.record_applied
def killed(self, app, name):
    record(self, app, name)
    if app == "tasks":
        os._exit(9)
MigrationRecorder.record_applied = killed
call_command("prepare")
"""


def test_an_interrupted_preparation_leaves_an_empty_database(tmp_path: Path) -> None:
    """A table whose migration is not recorded would be created again, which fails."""
    fresh = Console(tmp_path / "data")
    command = [sys.executable, "-c", KILLED_WHILE_RECORDING]
    assert subprocess.run(command, env=fresh.environment, cwd=PROJECT).returncode == 9
    with sqlite3.connect(fresh.data_dir / "console.sqlite3") as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == []
    database.close()


def test_a_database_that_is_not_there_is_named_and_not_made(tmp_path: Path) -> None:
    fresh = Console(tmp_path / "data")
    with pytest.raises(AssertionError, match=r"Prepare a new database with `make run`") as refused:
        fresh.manage("issue_api_key", "--organization", "demo", "--name", "ci")
    assert f"The data directory is {fresh.data_dir}; VBASE_DATA_DIR chooses" in str(refused.value)
    assert not (fresh.data_dir / "console.sqlite3").exists()
