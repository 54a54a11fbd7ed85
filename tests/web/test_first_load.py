from __future__ import annotations

import gzip
import re
from pathlib import Path

from django.contrib.staticfiles import finders

from tests.web.conftest import Browser

FIRST_LOAD_BYTES = 60_000


def test_the_first_load_of_the_overview_is_below_60_kb_compressed(alices: Browser) -> None:
    page = alices.open("overview").content
    files = {*re.findall(rb"/static/([^\"#]+)", page)}
    contents = [page, *(Path(str(finders.find(name.decode()))).read_bytes() for name in files)]
    assert len(files) >= 6
    assert sum(len(gzip.compress(content, 6)) for content in contents) < FIRST_LOAD_BYTES
