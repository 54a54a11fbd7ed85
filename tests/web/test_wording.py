"""Messages of services in the words of pages, and terms with their explanations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from backups.states import BackupStatus, JobKind
from clusters.states import Condition, ServiceStatus, TaskKind
from vbase_console.tasks.states import TaskState
from vbase_console.web.glossary import TERMS
from vbase_console.web.templatetags.console import term
from vbase_console.web.wording import KINDS, STATES, readable, words_of_requester

TEMPLATES = [
    path
    for path in sorted((settings.BASE_DIR / "templates").rglob("*.html"))
    if "admin" not in path.parts
]
MARKUP = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}|<code.*?</code>|<[^>]*>", re.DOTALL)
TASK, CLUSTER = "task-0123456789abcdef", "svc-0123456789abcdef"

SENTENCES = [
    (f"{CLUSTER} is STOPPED. It must be RUNNING.", "The cluster is stopped. It must be running."),
    (f"Wait for {CLUSTER}.", "Wait for the cluster."),
    (f"{TASK} ({TaskKind.SCALING}) uses the token.", "The task “scaling” uses the token."),
    (f"RESTART failed ({TASK}): it exited.", "Restart failed: it exited."),
    (f"It is {ServiceStatus.UPDATE_FAILED}.", "It is in error after a failed change."),
    ("Requested by policy:pol-0123456789abcdef.", "Requested by the policy."),
    ("Cancelled by key:ci before the start.", "Cancelled by API key ci before the start."),
    ("The label is key:value.", "The label is key:value."),
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


def test_every_template_shows_a_message_of_a_task_in_words() -> None:
    raw = r"{{ *((?:\w+\.)*(?:task|event|cluster|error|step)\.(?:status_)?message)\b(?!\|plain)"
    assert [path.name for path in TEMPLATES if re.search(raw, path.read_text())] == []


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
