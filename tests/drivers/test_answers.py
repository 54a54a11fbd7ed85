"""A cluster at fault says of itself what it likes, and hides no other cluster by that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from clusters.drivers.base import Observation, Presence
from clusters.drivers.embedded.answers import MAX_CHARACTERS
from clusters.drivers.embedded.driver import EmbeddedDriver
from clusters.drivers.embedded.layout import ClusterDirectory, ClusterState
from clusters.drivers.embedded.record import ProcessRecord
from clusters.drivers.embedded.server.authentication import CONTROL_SERVICE
from clusters.drivers.sandbox.process import Level

HEALTH = {
    "ready": True,
    "message": "",
    "opened": 0,
    "collections": 0,
    "version": "1",
    "cpu_seconds": 0,
    "cores": 1,
    "failures": {},
}


class Liar:
    """A server that answers every control call with these bytes."""

    def __init__(self) -> None:
        self.answer = b""
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: self.answer)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(CONTROL_SERVICE, {"Health": handler}),)
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None)


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar()
    yield liar
    liar.stop()


@pytest.fixture
def driver(tmp_path: Path) -> EmbeddedDriver:
    return EmbeddedDriver(tmp_path, b"a key of sixteen bytes")


@pytest.fixture
def directory(tmp_path: Path) -> ClusterDirectory:
    directory = ClusterDirectory(tmp_path, "vc-1")
    directory.make()
    return directory


@pytest.fixture
def running(directory: ClusterDirectory, liar: Liar) -> Iterator[None]:
    with ProcessRecord.claim(directory.path, port=liar.port):
        yield


def seen(driver: EmbeddedDriver) -> Observation:
    return driver.observe(["vc-1", "vc-2"])["vc-1"]


ODD: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "no text as its message": {**HEALTH, "message": 1},
    "no object of failures": {**HEALTH, "failures": ["x"]},
    "no number of cores": {**HEALTH, "cores": "many"},
    "more cores than a row holds": {**HEALTH, "cores": 10**30},
    "less than no core": {**HEALTH, "cores": -1},
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("title", ODD)
def test_an_answer_that_no_cluster_gives_is_no_answer(
    driver: EmbeddedDriver, liar: Liar, title: str
) -> None:
    liar.answer = json.dumps(ODD[title]).encode()
    assert seen(driver).presence is Presence.STARTING
    assert "does not understand" in seen(driver).message


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("answer", [b"", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_bytes_that_are_no_json_are_no_answer(
    driver: EmbeddedDriver, liar: Liar, answer: bytes
) -> None:
    liar.answer = answer
    assert seen(driver).presence is Presence.STARTING
    assert "invalid JSON" in seen(driver).message


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("level", ["complete", 1, [], None])
def test_a_level_that_is_unknown_counts_as_none(
    driver: EmbeddedDriver, liar: Liar, level: Any
) -> None:
    liar.answer = json.dumps({**HEALTH, "confinement": {"level": level}}).encode()
    assert seen(driver).confinement is Level.NONE


@pytest.mark.usefixtures("running")
def test_its_message_fits_into_every_database(driver: EmbeddedDriver, liar: Liar) -> None:
    said = {"default/c": "\0\ud800" + "x" * 1_000_000}
    liar.answer = json.dumps({**HEALTH, "failures": said}).encode()
    message = seen(driver).message
    assert message.startswith("default/c: \\0\\ud800x")
    assert message.encode()
    assert len(message) < 3 * MAX_CHARACTERS


def test_the_end_of_a_long_log_is_read_and_no_more(
    driver: EmbeddedDriver, directory: ClusterDirectory
) -> None:
    directory.save(ClusterState(port=1, version="1", compute_units=1, should_run=True))
    with directory.log.open("wb") as log:
        log.truncate(2**24)
        log.seek(0, 2)
        log.write(b"\nthe last\0line\n")
    found = seen(driver)
    assert found.presence is Presence.CRASHED
    assert found.message.endswith("the last\\0line")
    assert len(found.message) < 3 * MAX_CHARACTERS
