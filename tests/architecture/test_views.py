"""Views find rows by the one rule of visibility, and in no other way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
FOUND_BY_THE_RULE = {"visible_to", "get_visible", "none"}
MINE = "asks for the memberships of the signed-in user"
OWN_ORGANIZATION = "the organization itself, by the principal's own id"
# File: expression → why it is asked for otherwise.
OF_VISIBLE_ROWS = "a condition on tasks that are visible: it shows no cluster of its own"
EXEMPT: dict[str, str] = {
    "vbase_console/api/health.py: Heartbeat.objects.all().annotate": "no tenant's",
    "vbase_console/api/health.py: Task.objects.filter": "one bit: whether any worker is at work",
    "vbase_console/organizations/views/api_keys.py: Organization.objects.get": OWN_ORGANIZATION,
    "vbase_console/organizations/views/settings.py: Organization.objects.get": OWN_ORGANIZATION,
    "vbase_console/dashboard/creation.py: Organization.objects.get": OWN_ORGANIZATION,
    "vbase_console/organizations/views/home.py: Membership.objects.filter": MINE,
    "vbase_console/organizations/views/home.py: "
    "Membership.objects.filter(user=request.user.pk).select_related": MINE,
    "vbase_console/organizations/views/members.py: Organization.objects.get": OWN_ORGANIZATION,
    "vbase_console/web/frame.py: Organization.objects.filter": MINE,
    "vbase_console/dashboard/operations.py: Cluster.objects.filter": OF_VISIBLE_ROWS,
    "vbase_console/dashboard/operations.py: Cluster.objects.matching(text).values": OF_VISIBLE_ROWS,
}
SUPPORT = Path("vbase_console/dashboard/support")
"""Pages of the admin, whose readers see the rows of all tenants."""
INFRASTRUCTURE = {
    "vbase_console/api/idempotency.py": "finds answers by the organization of the key that asks",
    "vbase_console/api/sweeps.py": "housekeeping, which no request calls",
}


def views() -> list[Path]:
    apps = [ROOT / "vbase_console", ROOT / "clusters", ROOT / "backups"]
    files = [file for app in apps for file in app.rglob("*.py")]
    interfaces = [file for file in files if is_interface(file.relative_to(ROOT))]
    return [file for file in interfaces if file.relative_to(ROOT).as_posix() not in INFRASTRUCTURE]


def is_interface(file: Path) -> bool:
    if file.is_relative_to(SUPPORT):
        return False
    folders = {"views", "api", "web", "dashboard", "views.py", "forms.py", "api.py"}
    return bool(folders & set(file.parts)) and "migrations" not in file.parts


def words_after_objects(chain: ast.expr) -> list[str]:
    """`one` and `two` of `Cluster.objects.one(…).two(…)`; nothing where there is no `objects`."""
    words: list[str] = []
    while isinstance(chain, ast.Attribute | ast.Call):
        if isinstance(chain, ast.Attribute):
            if chain.attr == "objects":
                return words
            words.insert(0, chain.attr)
        chain = chain.func if isinstance(chain, ast.Call) else chain.value
    return []


def other_ways(source: str, name: str) -> list[str]:
    """Return the manager's methods that a function calls without the rule. The rule may be applied
    in a later line to a chain that has a name.
    """
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [f"{name}: {way}" for function in functions for way in _ways(function)]


def _ways(function: ast.FunctionDef) -> list[str]:
    chains = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    inner = {id(part) for chain in chains for part in ast.walk(chain.func)}
    whole = [chain for chain in chains if id(chain) not in inner]
    if any(FOUND_BY_THE_RULE & set(_called(chain)) for chain in whole):
        return []
    return [ast.unparse(chain.func) for chain in whole if words_after_objects(chain)]


def _called(chain: ast.expr) -> list[str]:
    return [part.attr for part in ast.walk(chain) if isinstance(part, ast.Attribute)]


def test_no_view_fetches_past_the_rule() -> None:
    found = [
        way
        for file in views()
        for way in other_ways(file.read_text(), file.relative_to(ROOT).as_posix())
    ]
    assert set(found) == set(EXEMPT)


def test_no_view_uses_the_shortcuts_that_know_no_tenant() -> None:
    shortcuts = ("get_object_or_404", "get_list_or_404")
    careless = [file for file in views() for word in shortcuts if word in file.read_text()]
    assert careless == []


def test_endpoints_ask_for_scopes_where_repetitions_will_be_asked_for_them() -> None:
    """By `OperationCall.require`, which an `Idempotency-Key` remembers."""
    endpoints = [file for file in views() if "api" in file.relative_to(ROOT).parts]
    direct = {file.name for file in endpoints if "principal.require(" in file.read_text()}
    assert direct == {"authentication.py", "calls.py"}


def test_it_notices_a_view_that_fetches_by_key_alone() -> None:
    source = "def get(request, pk):\n    return Cluster.objects.get(pk=pk)\n"
    assert other_ways(source, "views.py") == ["views.py: Cluster.objects.get"]


@pytest.mark.parametrize(
    "body",
    [
        "return Cluster.objects.get_visible(principal, pk=pk)",
        "return Cluster.objects.alive().visible_to(me).first()",
        "rows = Cluster.objects.alive(); return rows.visible_to(me)",
    ],
)
def test_it_accepts_every_way_through_the_rule(body: str) -> None:
    assert other_ways(f"def get(request, pk): {body}", "views.py") == []
