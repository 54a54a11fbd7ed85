from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.api.operations import Served, served
from vbase_console.core.middleware import CONTENT_SECURITY_POLICY

EVERY = served()
IDS = [one.operation.name for one in EVERY]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(Client().get("/api/schema/?format=json").content)
    return answer


def test_it_is_openapi_3(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")


def test_it_describes_exactly_what_is_served(document: dict[str, Any]) -> None:
    described = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described == {str(one) for one in EVERY}


@pytest.mark.parametrize("one", EVERY, ids=IDS)
def test_it_describes_errors_and_who_may(document: dict[str, Any], one: Served) -> None:
    described = document["paths"][one.path][one.method.lower()]
    assert described["description"]
    assert {"400", "500", "503"} <= set(described["responses"])
    assert described.get("security", []) == ([] if one.operation.is_public else [{"ApiKey": []}])


def test_it_defines_the_scheme_of_keys_so_that_tools_can_send_one(document: dict[str, Any]) -> None:
    scheme = document["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


@pytest.mark.parametrize("one", EVERY, ids=IDS)
def test_it_summarizes_every_operation_in_words(document: dict[str, Any], one: Served) -> None:
    described = document["paths"][one.path][one.method.lower()]
    assert re.fullmatch(r"[A-Z][a-z]+( [A-Za-z]+)+", described["summary"])
    explanation = described["description"].partition(" Scope: ")[0]
    assert len(explanation.split()) > 3
    assert one.operation.name not in (described["summary"], explanation)


def test_summaries_differ() -> None:
    summaries = [one.operation.summary for one in EVERY]
    assert len(set(summaries)) == len(summaries)


def test_components_have_the_names_of_their_classes(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    odd = re.compile(r"RequestRequest|^Patched|BodyRequest$|Serializer|Out$")
    assert [name for name in components if odd.search(name)] == []


@pytest.mark.parametrize("one", EVERY, ids=IDS)
def test_its_examples_fit_its_schemas(document: dict[str, Any], one: Served) -> None:
    described = document["paths"][one.path][one.method.lower()]
    media_type = one.operation.media_type or "application/json"
    answer = described["responses"]["200"]["content"][media_type]
    bodies = [answer, *described.get("requestBody", {}).get("content", {}).values()]
    for body in bodies:
        for example in body.get("examples", {}).values():
            validator(document, body["schema"]).validate(example["value"])


def test_changes_have_an_example(document: dict[str, Any]) -> None:
    messages = [one.operation for one in EVERY if not one.operation.media_type]
    lacking = [one.name for one in messages if one.answer_example is None]
    assert lacking == []


def test_it_is_served_as_yaml_too() -> None:
    assert b"openapi: 3" in Client().get("/api/schema/").content


@pytest.mark.parametrize("address", ["/api/docs", "/admin"])
def test_the_slash_at_the_end_may_be_left_out(address: str) -> None:
    answer = Client().get(address)
    assert (answer.status_code, answer["Location"]) == (302, f"{address}/")


def test_the_page_loads_nothing_from_outside_and_runs_nothing_inline() -> None:
    response = Client().get("/api/docs/")
    page = response.content.decode()
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert not re.search(r"<style|style=|<script>|\son\w+=", page)


def test_every_asset_of_the_page_is_there() -> None:
    page = Client().get("/api/docs/").content.decode()
    assets = re.findall(r'"/static/([^"]+)"', page)
    assert len(assets) == 6
    assert all(finders.find(asset) for asset in assets)


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Validator:
    """JSON Schema's own judgement, with OpenAPI's `nullable` said in its words."""
    whole = _nullable(schema | {"components": document["components"]})
    return jsonschema.Draft202012Validator(whole)


def _nullable(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(part) for key, part in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain
