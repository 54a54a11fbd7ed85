from __future__ import annotations

import pytest

from tests.live import Api, Console


@pytest.fixture(scope="session")
def api(console: Console) -> Api:
    return console.api()
