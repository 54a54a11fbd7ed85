from __future__ import annotations

from collections.abc import Iterator

import pytest

from backups.stores import load_store, s3_requests
from backups.stores.s3 import S3Store
from tests.s3.proxy import Proxy, before
from tests.s3.server import S3Server


@pytest.fixture
def s3(s3_url: str) -> S3Store:
    """A store that asks the server itself."""
    store = load_store(s3_url)
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    with before(s3_server.endpoint) as (proxy, endpoint):
        proxy.endpoint = endpoint
        yield proxy


@pytest.fixture
def behind(proxy: Proxy, s3: S3Store, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """The same store through the proxy. It repeats a request at once, and goes on for long enough
    where the first answer is late.
    """
    monkeypatch.setenv("VBASE_S3_ENDPOINT", proxy.endpoint)
    monkeypatch.setattr(s3_requests, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(s3_requests, "MAX_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(s3_requests, "REPEAT_SECONDS", 10.0)
    monkeypatch.setattr(s3_requests, "GUARD_INTERVAL_SECONDS", 0.05)
    store = load_store(s3_url)
    assert isinstance(store, S3Store)
    return store


@pytest.fixture
def gives_up_soon(behind: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a request that fails as often as it is repeated."""
    monkeypatch.setattr(s3_requests, "REPEAT_SECONDS", 0.2)
