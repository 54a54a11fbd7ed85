"""Documents that name files, words and decisions name those that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TODAY = [document for document in DOCUMENTS if document.name != "CHANGELOG.md"]
"""History may name what is gone."""
FIXED = {
    *("cluster", "service", "task", "job", "BackupJob", "driver", "principal"),
    *("backup", "archive", "manifest", "policy", "run", "attempt", "epoch"),
    *("verified", "proven", "drill"),
}
"""Words that mean one thing everywhere."""
DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)")
FILE = re.compile(r"`((?:vbase_console|clusters|backups|templates|static|tests|docs)/[\w./-]+)`")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    named = LINK.findall(document.read_text())
    assert [link for link in named if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", TODAY, ids=name_of)
def test_every_file_that_is_named_is_there(document: Path) -> None:
    named = FILE.findall(document.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_a_decision_says_why_what_and_what_follows(decision: Path) -> None:
    text = decision.read_text()
    number = re.match(r"# (\d+)", text)
    assert number is not None
    assert int(number.group(1)) == int(decision.name[:4])
    parts = re.findall(r"^(?:## |\*\*)(Context|Decision|Consequence)", text, re.M)
    assert parts == ["Context", "Decision", "Consequence"]


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [decision.name[:4] for decision in DECISIONS]
    assert len(set(numbers)) == len(numbers)


def test_the_glossary_has_every_word_that_the_design_fixes() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(), re.M)
    assert sorted(FIXED - set(words)) == []


def test_the_glossary_has_each_word_once_and_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text(), re.M)
    assert words == sorted(set(words), key=str.lower)


@pytest.mark.parametrize("guide", sorted((ROOT / "docs/how-to").glob("*.md")), ids=name_of)
def test_a_guide_has_at_most_six_steps(guide: Path) -> None:
    steps = re.findall(r"^\d+\. ", guide.read_text(), re.M)
    assert 1 < len(steps) <= 6
