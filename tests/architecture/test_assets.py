"""Pages load nothing from outside: what they need is in this repository, at a pinned version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

ROOT: Path = settings.BASE_DIR
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STYLES = sorted((ROOT / "static").rglob("*.css"))
LOADED = re.compile(
    r"""(?:src|href|action|srcset|data|hx-\w+)\s*=\s*["']?\s*((?:https?:)?//[^"'\s>]+)"""
)
STATIC = re.compile(r"""{%\s*static\s+["']([^"']+)["']""")
INLINE = re.compile(r"""<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle\s*=|\son\w+\s*=\s*["']""")
OWN_STYLES = sorted((ROOT / "static/css").glob("*.css"))
DISTANCES = re.compile(r"(?<![\w-])(?:margin|padding|gap|row-gap|column-gap)[a-z-]*\s*:([^;}]*)")
SIZES_OF_TEXT = re.compile(r"(?<![\w-])font(?:-size)?\s*:([^;}]*)")
ABSOLUTE = re.compile(r"(?<![\w.-])-?(?!1px)\d*\.?\d+(?:rem|px|pt|ch|vw)\b")
"""Lengths besides the tokens. A line of 1px, a part of the text and of the window are none."""
MOTION = re.compile(r"(?<![\w-])(?:transition|animation)[a-z-]*\s*:([^;}]*)")
CSS_LOADS = re.compile(r"""(?:@import\s+|url\(\s*)["']?((?:https?:)?//[^"')\s]+)""")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_template_names_no_address_outside(template: Path) -> None:
    assert LOADED.findall(template.read_text()) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_a_template_has_no_script_or_style_that_the_policy_would_stop(template: Path) -> None:
    assert INLINE.findall(template.read_text()) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_every_asset_that_a_template_names_is_here(template: Path) -> None:
    named = STATIC.findall(template.read_text())
    assert [path for path in named if finders.find(path) is None] == []


@pytest.mark.parametrize("style", STYLES, ids=name_of)
def test_a_style_sheet_loads_nothing_from_outside(style: Path) -> None:
    assert CSS_LOADS.findall(style.read_text()) == []


@pytest.mark.parametrize("style", OWN_STYLES, ids=name_of)
def test_nothing_moves_by_itself(style: Path) -> None:
    """Progress is counted, so a bar that glides would show a value that was never counted."""
    assert [value for value in MOTION.findall(style.read_text()) if "none" not in value] == []


@pytest.mark.parametrize("style", OWN_STYLES, ids=name_of)
def test_distances_and_sizes_of_text_are_tokens(style: Path) -> None:
    assert lengths_besides_tokens(style.read_text()) == []


def lengths_besides_tokens(style: str) -> list[str]:
    values = [*DISTANCES.findall(style), *SIZES_OF_TEXT.findall(style)]
    return [length for value in values for length in ABSOLUTE.findall(value)]


def test_it_notices_a_length_besides_the_tokens() -> None:
    assert lengths_besides_tokens("a { margin: 0 .9rem; gap: 2px } b { font: 14px/1.5 serif }") == [
        ".9rem",
        "2px",
        "14px",
    ]
    assert not lengths_besides_tokens("a { margin: -1px; padding: var(--space-1) .4em; gap: 12vh }")


def test_it_notices_what_comes_from_outside() -> None:
    assert LOADED.findall('<script src="https://cdn.example/x.js">')
    assert LOADED.findall("<a href='//cdn.example/x'>")
    assert CSS_LOADS.findall("@import url(https://fonts.example/x.css)")
    assert not LOADED.findall('<a href="/o/acme/clusters">')
