from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

from django.contrib.staticfiles import finders

from clusters.models import Cluster
from tests.web.conftest import Browser

FIRST_LOAD_BYTES = 60_000
GZIP = {"Accept-Encoding": "gzip"}


def test_the_first_load_of_the_overview_is_below_60_kb_compressed(alices: Browser) -> None:
    answer = alices.client.get(alices.address("overview"), headers=GZIP)
    sent, page = answer.content, gzip.decompress(answer.content)
    files = {*re.findall(rb"/static/([^\"#]+)", page)}
    contents = [Path(str(finders.find(name.decode()))).read_bytes() for name in files]
    assert len(files) >= 6
    compressed = sum(len(gzip.compress(content, 6)) for content in contents)
    assert len(sent) + compressed < FIRST_LOAD_BYTES


def test_a_response_that_may_contain_a_secret_is_not_compressed(
    alices: Browser, make_cluster: Callable[..., Cluster]
) -> None:
    address = alices.address("cluster-token", make_cluster().pk)
    answer = alices.client.post(address, headers=GZIP)
    assert (answer.status_code, "Content-Encoding" in answer.headers) == (200, False)


def test_an_export_is_not_compressed(alices: Browser) -> None:
    address = alices.address("cluster-list")
    answer = alices.client.get(address, {"export": "csv"}, headers=GZIP)
    assert "Content-Encoding" not in answer.headers
    answer.close()
