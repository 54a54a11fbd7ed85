"""Messages of services in the words of pages, and terms with their explanations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

from backups.states import BackupStatus, JobKind
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.core.labels import words_of_requester
from vbase_console.tasks.states import TaskState
from vbase_console.web.glossary import TERMS
from vbase_console.web.templatetags.console import term
from vbase_console.web.wording import KINDS, STATES, readable, reason_of

TEMPLATES = [
    path
    for path in sorted((settings.BASE_DIR / "templates").rglob("*.html"))
    if "admin" not in path.parts
]
MARKUP = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}|<code.*?</code>|<[^>]*>", re.DOTALL)
MODULES = [
    path
    for folder in ("vbase_console", "clusters", "backups")
    for path in sorted((settings.BASE_DIR / folder).rglob("*.py"))
    if "migrations" not in path.parts
]
FOR_PROGRAMS = re.compile(r"/api/|/rpc/|/api\.py|api_serializers|drivers/embedded/server|/sandbox/")
"""Modules whose texts describe the API or stay inside a cluster's process."""
CODES = {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "ABORTED"}
METAPHORS = re.compile(r"\b(doors?|stands|lies|mend(?:s|ed)?|goes|anew|at it|what (?:is|was))\b")
WIRE_NAME = re.compile(r"\b[a-z]+[A-Z]\w*")
NO_WIRE_NAMES = {"pymilvus", "gRPC"}
EXEMPT = {"its archive is not what was sealed": "a value of the API"}
TASK, CLUSTER = "task-0123456789abcdef", "svc-0123456789abcdef"

SENTENCES = [
    (f"{CLUSTER} is STOPPED. It must be RUNNING.", "The cluster is stopped. It must be running."),
    (f"Wait for {CLUSTER}.", "Wait for the cluster."),
    (f"Cluster '{CLUSTER}' not found.", "Cluster not found."),
    ("roll-0123456789abcdef has already ended: FAILED.", "A rollout has already ended: failed."),
    (f"{TASK} ({TaskKind.SCALING}) uses the token.", "The task “scaling” uses the token."),
    (f"RESTART failed ({TASK}): it exited.", "Restart failed: it exited."),
    (f"It is {ServiceStatus.UPDATE_FAILED}.", "It is in error after a failed change."),
    ("Requested by policy:pol-0123456789abcdef.", "Requested by the policy."),
    ("Cancelled by key:ci before the start.", "Cancelled by API key ci before the start."),
    ("support:sam may not.", "Support staff sam may not."),
    ("The label is key:value.", "The label is key:value."),
    ("Turn backupFirst off.", "Turn “Back up first” off."),
    ("The API answers HTTP 503 at 03:00 UTC.", "The API answers HTTP 503 at 03:00 UTC."),
]


@pytest.mark.parametrize(("message", "words"), SENTENCES)
def test_a_page_shows_a_message_without_ids_and_constants(message: str, words: str) -> None:
    assert readable(message) == words


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("key:ci:2", "API key ci:2"),
        ("policy:pol-0123456789abcdef", "the policy"),
        ("support:sam", "support staff sam"),
        ("ana@example.com", "ana@example.com"),
        ("console", "the console"),
        ("", "the console"),
    ],
)
def test_a_page_names_a_requester_in_words(label: str, words: str) -> None:
    assert words_of_requester(label) == words


def test_every_template_names_requesters_in_words() -> None:
    raw = r"{{ *(?:\w+\.)*(?:requested_by|entry\.principal)\b(?!\|requester)"
    assert [path.name for path in TEMPLATES if re.search(raw, path.read_text())] == []


def test_every_state_and_kind_has_words() -> None:
    states = {*TaskState, *ServiceStatus, *Condition, *BackupStatus}
    assert states <= STATES
    assert {*TaskKind, *JobKind} <= KINDS


def sentences_of(template: Path) -> str:
    return MARKUP.sub(" ", template.read_text())


def test_no_template_has_a_constant_of_the_api_in_a_sentence() -> None:
    constants = STATES | KINDS | {"FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND"}
    found = {
        (template.name, word)
        for template in TEMPLATES
        for word in re.findall(r"\b[A-Z][A-Z_]{2,}\b", sentences_of(template))
    }
    assert {(name, word) for name, word in found if word in constants} == set()


STUMBLES = re.compile(
    r"\b(?:nobody|somebody|anybody|everybody|whoever|door|is said|is told|for all)\b|, too\b", re.I
)


def test_no_template_has_words_that_readers_stumble_over() -> None:
    found = {
        (template.name, word)
        for template in TEMPLATES
        for word in STUMBLES.findall(sentences_of(template))
    }
    assert found == set()


def test_every_template_shows_a_message_of_a_task_in_words() -> None:
    raw = r"{{ *((?:\w+\.)*(?:task|event|cluster|error|step)\.(?:status_)?message)\b(?!\|plain)"
    assert [path.name for path in TEMPLATES if re.search(raw, path.read_text())] == []


def texts_of(path: Path) -> Iterator[str]:
    """Yield the sentences and labels of a module. A value inside a text becomes "…"."""
    tree = ast.parse(path.read_text())
    silent: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                silent.add(id(docstring))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"))):
                silent |= {id(part) for part in ast.walk(node)}
            case ast.JoinedStr(values=parts) if id(node) not in silent:
                silent |= {id(part) for part in parts}
                texts = [part.value if isinstance(part, ast.Constant) else "…" for part in parts]
                yield "".join(map(str, texts))
            case ast.Constant(value=str() as text) if id(node) not in silent and " " in text:
                yield text


@cache
def texts_of_modules() -> list[tuple[str, str]]:
    """Return module and text. Not a constant, because each process of the tests would parse all."""
    return [
        (str(path.relative_to(settings.BASE_DIR)), text)
        for path in MODULES
        if not FOR_PROGRAMS.search(path.as_posix())
        for text in texts_of(path)
        if text not in EXEMPT
    ]


def test_no_message_has_a_constant_of_the_api_when_a_page_shows_it() -> None:
    constants = STATES | KINDS | CODES
    assert [
        (module, text)
        for module, text in texts_of_modules()
        if constants & set(re.findall(r"\b[A-Z][A-Z_]{2,}\b", reason_of(text)))
    ] == []


def test_no_message_has_a_field_of_the_api_when_a_page_shows_it() -> None:
    assert [
        (module, text)
        for module, text in texts_of_modules()
        if text.endswith(".") and set(WIRE_NAME.findall(readable(text))) - NO_WIRE_NAMES
    ] == []


def test_no_text_has_a_metaphor() -> None:
    assert [(module, text) for module, text in texts_of_modules() if METAPHORS.search(text)] == []


def test_a_glossary_term_opens_its_explanation_without_a_script() -> None:
    html = term("Verified")
    assert 'popovertarget="term-verified"' in html
    assert TERMS["Verified"] in html


def test_every_term_is_explained_on_a_page_and_in_the_glossary() -> None:
    pages = "".join(path.read_text() for path in TEMPLATES)
    glossary = (settings.BASE_DIR / "docs/glossary.md").read_text()
    unused = {name for name in TERMS if f'{{% term "{name}"' not in pages}
    assert unused == set()
    assert [name for name, text in TERMS.items() if f"| {name} | {text} |" not in glossary] == []
