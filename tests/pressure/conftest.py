from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Api, Console, a_console


@pytest.fixture(scope="package")
def pressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console of two web processes for the tests of this folder, with low limits."""
    data_dir = tmp_path_factory.mktemp("pressed") / "data"
    with a_console(
        data_dir, VBASE_CLUSTER_DRIVER="memory", VBASE_MAX_WAITING_PER_CLUSTER="5"
    ) as console:
        yield console.start()


@pytest.fixture(scope="package")
def api(pressed: Console) -> Api:
    return pressed.api()
