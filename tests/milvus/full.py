"""A full Milvus of its own process, where its program is there: MILVUS_SERVER names it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from backups.milvus.client import Client
from backups.milvus.errors import MilvusError
from tests.drivers.launched import free_port, wait_for
from tests.milvus.rooms import endpoint

PROGRAM = os.environ.get("MILVUS_SERVER", "")
CREDENTIAL = "root:Milvus"
_START_SECONDS = 180
_END_SECONDS = 60


class FullMilvus:
    """Standalone, with users and passwords."""

    def __init__(self, data_dir: Path) -> None:
        self.port = free_port()
        command = [PROGRAM, "--data", str(data_dir), "--proxy-port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, "--authorization-enabled", "true"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(self._answers, _START_SECONDS)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "milvus-server ended"
        try:
            with Client(endpoint(self.port, CREDENTIAL), quick_seconds=5) as client:
                return client.collections() == []
        except MilvusError:
            return False

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
