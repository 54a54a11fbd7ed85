"""The policy in docs/operations.md is enough, and no request leaves the prefix."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backups.archive.layout import delete_archive
from backups.archive.verify import findings
from backups.stores import load_store
from backups.stores.base import Store, StoreError, put
from backups.stores.proof import prove
from tests.archive.conftest import ARCHIVE, small_contents, write_archive
from tests.s3.proxy import Proxy, Request
from tests.s3.server import BUCKET, LEAST_KEY, LEAST_PREFIX, LEAST_SECRET, S3Server

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
PREFIX = f"{LEAST_PREFIX}/{secrets.token_hex(4)}"


def policy() -> list[dict[str, Any]]:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    statements: list[dict[str, Any]] = json.loads(block)["Statement"]
    return statements


@pytest.fixture
def store(s3_server: S3Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Through the proxy, with a key that may do nothing outside of its prefix."""
    variables = s3_server.variables(ACCESS_KEY_ID=LEAST_KEY, SECRET_ACCESS_KEY=LEAST_SECRET)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VBASE_S3_ENDPOINT", proxy.endpoint)
    return load_store(f"s3://{BUCKET}/{PREFIX}")


def lead_a_life(store: Store) -> None:
    """All that the console does with a store."""
    write_archive(store, small_contents())
    assert findings(store, ARCHIVE) == []
    assert store.size("no/such/object") is None
    assert {entry.key.split("/")[0] for entry in store.list("")} == {ARCHIVE.split("/")[0]}
    assert [check.problem for check in prove(store)] == [""] * 8
    store.ping()
    delete_archive(store, ARCHIVE)


def action_of(request: Request) -> tuple[str, str]:
    """The action that S3 requires for a request, and the key or prefix that it concerns."""
    parts = urlsplit(request.path)
    query, key = parse_qs(parts.query, keep_blank_values=True), parts.path.split("/", 2)[2:]
    if request.method == "POST" and "delete" in query:
        return "s3:DeleteObject", f"{PREFIX}/"  # its keys are in the body
    if request.method == "GET" and "list-type" in query:
        return "s3:ListBucket", query["prefix"][0]
    needs = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject"}
    return needs[request.method], key[0]


def test_a_key_without_other_rights_is_enough(store: Store) -> None:
    lead_a_life(store)


def test_the_key_of_this_test_has_no_other_rights(store: Store) -> None:
    with pytest.raises(StoreError, match="AccessDenied"):
        put(load_store(f"s3://{BUCKET}/elsewhere"), "a", b"")


def test_the_documented_policy_names_every_action_and_no_other(store: Store, proxy: Proxy) -> None:
    lead_a_life(store)
    used = {action_of(request) for request in proxy.requests}
    documented = [statement["Action"] for statement in policy()]
    assert {action for action, _ in used} == {*documented[0], documented[1]}
    assert {target[: len(PREFIX) + 1] for _, target in used} == {f"{PREFIX}/"}
