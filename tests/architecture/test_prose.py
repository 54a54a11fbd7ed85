"""Product code, templates and documents keep the rules of prose that a machine can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
PRODUCT = ("vbase_console", "clusters", "backups", "benchmarks", "examples")
"""Folders of Python code that is read as a product. Tests: only docstrings and comments."""
TEXTS = ("templates", "static", "docs", ".ci")
THIRD_PARTY = "static/vendor"
"""Files of other projects are kept byte for byte."""
ROOT_FILES = {*("README.md", "CONTRIBUTING.md", "CHANGELOG.md"), "Makefile", "manage.py"}
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".txt", ".toml", ".service", ""}
WORD = re.compile(r"\b(nobody|somebody|whoever|anybody|everybody)\b", re.IGNORECASE)
COMMENT_WITH_WORD = re.compile(r"(?:^|\s)# .*" + WORD.pattern, re.IGNORECASE)
OPENING = re.compile(r"\s*(what|whether|of|who|how|where|whose|which|whoever)\b", re.IGNORECASE)


def files_of(folder: str) -> list[Path]:
    """List the texts below a folder, without those of other projects."""
    paths = (path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*")))
    return [
        ROOT / path
        for path in paths
        if path.suffix in SUFFIXES
        and (ROOT / path).is_file()
        and not path.is_relative_to(THIRD_PARTY)
    ]


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Find the docstrings of modules, classes and functions, and those below a field or constant.

    All of them are bare strings, which have no other use.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as docstring):
                yield docstring


def forbidden_words(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        for match in WORD.finditer(line):
            yield f"{path.relative_to(ROOT)}:{number}: {match.group()}"


def forbidden_openings(path: Path) -> Iterator[str]:
    if path.suffix != ".py":
        return
    for docstring in docstrings(ast.parse(path.read_text())):
        text = str(docstring.value)
        if OPENING.match(text):
            yield f"{path.relative_to(ROOT)}:{docstring.lineno}: {text.strip()[:60]}"


def forbidden_docstrings(path: Path) -> Iterator[str]:
    for docstring in docstrings(ast.parse(path.read_text())):
        text = str(docstring.value)
        if OPENING.match(text) or WORD.search(text):
            yield f"{path.relative_to(ROOT)}:{docstring.lineno}: {text.strip()[:60]}"


def forbidden_comments(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if COMMENT_WITH_WORD.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:60]}"


def violations(paths: list[Path]) -> list[str]:
    return [text for path in paths for text in (*forbidden_words(path), *forbidden_openings(path))]


@pytest.mark.parametrize("folder", [*PRODUCT, *TEXTS])
def test_a_folder_has_no_forbidden_word_or_opening(folder: str) -> None:
    paths = files_of(folder)
    assert paths != []
    problems = violations(paths)
    assert not problems, "\n".join(problems)


def test_the_files_of_the_root_have_no_forbidden_word_or_opening() -> None:
    problems = violations([path for path in ROOT.iterdir() if path.name in ROOT_FILES])
    assert not problems, "\n".join(problems)


def test_the_docstrings_and_comments_of_tests_have_no_forbidden_word_or_opening() -> None:
    paths = [path for path in files_of("tests") if path.suffix == ".py"]
    assert paths != []
    checks = (forbidden_docstrings, forbidden_comments)
    problems = [text for path in paths for check in checks for text in check(path)]
    assert not problems, "\n".join(problems)


def test_every_form_of_a_forbidden_sentence_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        '"""What a module is."""\n'
        'LIMIT = 3\n"""How many there may be."""\n'
        'class Row:\n    """Whose row it is."""\n    name: str\n    """Of the row."""\n'
        'def act() -> None:\n    """Where it happens."""\n'
        "# Nobody reads this; whatever it says, it is no opening.\n"
    )
    found = [docstring.lineno for docstring in docstrings(ast.parse(bad.read_text()))]
    assert sorted(found) == [1, 3, 5, 7, 9]
    assert all(OPENING.match(line) for line in ("Whether it is", "what", "Who", "whoever"))
    assert not any(OPENING.match(line) for line in ("Whatever", "Office of", "However"))
    assert WORD.findall(bad.read_text()) == ["Nobody"]
    assert len([*filter(COMMENT_WITH_WORD.search, bad.read_text().splitlines())]) == 1
    assert not COMMENT_WITH_WORD.search('organization("nobody")  # of a deleted one')


def test_no_empty_file_keeps_a_folder_and_no_tool_leaves_its_cache() -> None:
    assert [
        path for folder in (*PRODUCT, *TEXTS) for path in (ROOT / folder).rglob(".gitkeep")
    ] == []
    assert "/.schemathesis/" in (ROOT / ".gitignore").read_text().splitlines()
