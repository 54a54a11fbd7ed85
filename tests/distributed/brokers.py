"""The brokers that the distributed size is tried on: started, killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.broker import Broker
from tests.distributed.rabbitmq import SERVER, RabbitMQ

KINDS = ("rabbitmq", pytest.param("valkey", marks=pytest.mark.torture))
"""The journeys of the embedded size use Valkey in every run."""


@contextmanager
def running(kind: str, directory: Path) -> Iterator[RabbitMQ | Broker]:
    if kind == "valkey":
        valkey = Broker(directory)
        try:
            yield valkey
        finally:
            valkey.kill()
        return
    if not SERVER.exists():
        pytest.skip(f"{SERVER} is not there; install Debian's package rabbitmq-server.")
    rabbitmq = RabbitMQ(directory)
    try:
        rabbitmq.start()
        yield rabbitmq
    finally:
        rabbitmq.close()
