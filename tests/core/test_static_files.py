"""Static files that `prepare` collects for the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured

from vbase_console.core import static_files
from vbase_console.core.static_files import UNUSED, collect_static_files

NAME = re.compile(r"""{%\s*static\s+['"]([^'"]+)['"]""")


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    assert collect_static_files()
    return tmp_path / "static"


def test_every_file_that_a_template_names_is_collected(root: Path) -> None:
    templates = (Path(configured.BASE_DIR) / "templates").rglob("*.html")
    names = {name for template in templates for name in NAME.findall(template.read_text())}
    assert {"js/console.js", "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css"} <= names
    assert [name for name in names if not (root / name).exists()] == []


def test_files_of_libraries_that_no_page_uses_are_left_out(root: Path) -> None:
    assert (root / "admin/css/base.css").exists()
    assert [path for path in root.rglob("*") if path.name in UNUSED] == []


def test_nothing_is_collected_twice(root: Path) -> None:
    assert not collect_static_files()


def test_files_are_collected_again_after_an_interrupted_upgrade(
    root: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version before the upgrade finds its own fingerprint, but no longer all of its files."""
    usual = settings.WHITENOISE_KEEP_ONLY_HASHED_FILES
    settings.WHITENOISE_KEEP_ONLY_HASHED_FILES = not usual
    with monkeypatch.context() as patch:
        patch.setattr(static_files, "call_command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect_static_files()
    settings.WHITENOISE_KEEP_ONLY_HASHED_FILES = usual
    assert collect_static_files()


def interrupted(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt
