"""A RabbitMQ of one test, with a node, name, cookie, ports and directories of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from tests.live import wait_for
from tests.ports import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's, without the wrapper that becomes another user and writes to /var."""
ONLY_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
HASTY = "-rabbit heartbeat 1 -rabbit channel_tick_interval 50"
"""Shorten the times after which RabbitMQ closes silent connections and unacknowledged channels."""
SMALL = "+S 1:1"
"""One scheduler instead of one for each processor: the start takes less processor time."""
ABSENT = ("CONF_ENV_FILE", "CONFIG_FILE", "ADVANCED_CONFIG_FILE", "ENABLED_PLUGINS_FILE")
"""Files of this machine's own that must not be read."""
DIRECTORIES = ("MNESIA_BASE", "LOG_BASE", "GENERATED_CONFIG_DIR", "SCHEMA_DIR")


class RabbitMQ:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port, self._names_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self._port}//"
        self.url = f"amqp://guest:guest@{self.address}"
        self.log = directory / "rabbitmq.log"
        names = ["epmd", "-port", str(self._names_port), "-address", "127.0.0.1"]
        self._names = subprocess.Popen(names)

    @property
    def environment(self) -> dict[str, str]:
        """Environment of its server and of `rabbitmqctl`."""
        own = {f"RABBITMQ_{name}": str(self._directory / name) for name in (*ABSENT, *DIRECTORIES)}
        return {
            **own,
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self._directory),
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "test@localhost",
        }

    def start(self, arguments: str = "") -> None:
        environment = {
            **self.environment,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{SMALL} {ONLY_LOOPBACK} {HASTY} {arguments}",
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell in between: what is killed is the server
        }
        with self.log.open("ab") as log:
            self._server = subprocess.Popen([SERVER], env=environment, stdout=log, stderr=log)
        wait_for(self._answers)

    def kill(self) -> None:
        self._server.kill()
        self._server.wait()

    def close(self) -> None:
        self.kill()
        self._names.kill()
        self._names.wait()

    def _answers(self) -> bool:
        assert self._server.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
