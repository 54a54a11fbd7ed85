from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings

VENDOR = Path(settings.BASE_DIR) / "static" / "vendor"
TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
ROWS = re.findall(r"^\| `(\S+)` .*`sha384-(\S+)`", (VENDOR / "README.md").read_text(), re.M)


@pytest.mark.parametrize(("name", "digest"), ROWS)
def test_a_vendored_file_is_the_one_that_the_table_names(name: str, digest: str) -> None:
    content = (VENDOR / name).read_bytes()
    assert base64.b64encode(hashlib.sha384(content).digest()).decode() == digest


def test_every_vendored_script_is_in_the_table() -> None:
    assert {path.name for path in VENDOR.glob("*.js")} == {name for name, _ in ROWS}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_needs_what_the_content_security_policy_forbids(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_fragment_says_first_what_it_shows(path: Path) -> None:
    if path.parent.name == "partials" and path.name != "column.html":
        assert path.read_text().startswith("{# ")
