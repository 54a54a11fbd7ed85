"""A database of the first version is migrated with its rows to the tables of a new one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import PROJECT, Console, a_console

FIRST_VERSION = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

executor = MigrationExecutor(connection)
executor.loader.replace_migrations = False
executor.loader.build_graph()
first = [key for key in executor.loader.graph.nodes if key[1] == "0001_initial"]
rows = executor.migrate([key for key in first if key[0] != "search"]).apps.get_model
shop = rows("organizations", "Organization").objects.create(name="shop")
rows("organizations", "AuditEntry").objects.create(organization=shop, principal="ada")
where = {"organization": shop, "cluster": rows("clusters", "Cluster").objects.create(
    organization=shop, name="images", version="2.5", driver="memory", sealed_token=""
)}
rows("protection", "KnownCollection").objects.create(**where, db_name="default", name="red shoes")
"""
TABLES = """
import json
from django.db import connection

def described(cursor, table):
    read = connection.introspection
    columns = [column[:7] for column in read.get_table_description(cursor, table)]
    constraints = read.get_constraints(cursor, table).items()
    return [sorted(columns), sorted([unnumbered(name), str(rule)] for name, rule in constraints)]

def unnumbered(name):
    "SQLite numbers foreign keys and constraints without names by their position."
    return "" if name.startswith(("__unnamed", "fk_")) else name

with connection.cursor() as cursor:
    names = connection.introspection.django_table_names(only_existing=True)
    tables = {name: described(cursor, name) for name in names}
print(json.dumps(tables, default=str))
"""
ROWS = """
import json
from django.db import IntegrityError
from backups.protection.models import KnownCollection
from vbase_console.organizations.models import AuditEntry

words = KnownCollection.objects.order_by("words").values_list("words__word", flat=True)
try:
    refusal = AuditEntry.objects.update(principal="eve")
except IntegrityError as error:
    refusal = str(error)
print(json.dumps([list(words), refusal]))
"""


def said(console: Console, program: str) -> Any:
    command = [sys.executable, "-c", f"import django\ndjango.setup()\n{program}"]
    done = subprocess.run(command, env=console.environment, cwd=PROJECT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout or "null")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with a_console(tmp_path_factory.mktemp("earlier") / "data", is_new=True) as own:
        said(own, FIRST_VERSION)
        own.manage("prepare")
        yield own


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Console]:
    with a_console(tmp_path / "new") as own:
        yield own


@pytest.mark.torture
def test_the_tables_of_a_migrated_database_are_those_of_a_new_one(
    console: Console, new: Console
) -> None:
    assert said(console, TABLES) == said(new, TABLES)


@pytest.mark.torture
def test_the_rows_are_found_and_guarded_as_new_ones(console: Console) -> None:
    words, refusal = said(console, ROWS)
    assert words == ["=red shoes", "red", "shoes"]
    assert "never changed or removed" in refusal
