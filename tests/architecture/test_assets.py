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


def test_it_notices_what_comes_from_outside() -> None:
    assert LOADED.findall('<script src="https://cdn.example/x.js">')
    assert LOADED.findall("<a href='//cdn.example/x'>")
    assert CSS_LOADS.findall("@import url(https://fonts.example/x.css)")
    assert not LOADED.findall('<a href="/o/acme/clusters">')
