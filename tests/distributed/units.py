"""The console as docs/operations.md sets it up on many machines, all of them this one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import httpx

from tests.live import PROJECT, Console, wait_for
from tests.ports import free_port

UNITS = PROJECT / "docs" / "units"
PROGRAMS = sorted(unit.name for unit in UNITS.iterdir())
OUTAGE = re.compile(r"vbase_console\.core\.outages: (\w+): (lost|back)")
SECRETS = ("VBASE_SECRET_KEY", "VBASE_DATABASE_URL", "VBASE_BROKER_URL")
NAME = "console.example.com"


class Distributed(Console):
    """The programs of docs/units, with the settings that a service manager gives them."""

    headers: ClassVar = {"Host": NAME, "X-Forwarded-Proto": "https"}
    """Headers that the proxy in front sends."""

    def __init__(self, directory: Path, *, database: str, broker: str) -> None:
        values = dict(zip(SECRETS, ("a secret key" * 5, database, broker), strict=True))
        for name, value in values.items():
            (directory / name).write_text(value)
        super().__init__(
            directory / "data",
            DJANGO_SETTINGS_MODULE="vbase_console.settings.distributed",
            VBASE_ALLOWED_HOSTS=NAME,
            **{f"{name}_FILE": str(directory / name) for name in SECRETS},
        )
        self._directory = directory
        self.second_port, self.second_grpc_port = free_port(), free_port()
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        # A connection for each request: the next one may be answered by another process.
        no_connection_is_kept = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(headers=self.headers, timeout=30, limits=no_connection_is_kept)

    def start(self, *names: str) -> Distributed:
        """Run all programs, or some of them, and wait until they are up."""
        self.manage("prepare")
        for name in names or PROGRAMS:
            self.run(name)
        self.wait_until_up("DEGRADED" if names else "SERVING")
        return self

    def wait_until_up(self, status: str = "SERVING") -> None:
        wait_for(lambda: self._health_if_up().get("status") == status)

    def run_another(self, name: str) -> None:
        """A second one of the same kind, under the name that has a 2 behind it."""
        ports = {"VBASE_PORT": self.second_port, "VBASE_GRPC_PORT": self.second_grpc_port}
        own = {variable: str(port) for variable, port in ports.items()}
        self.run(name, key=f"{name}2", **own)

    def run(self, name: str, *, key: str = "", **environment: str) -> None:
        key = key or name
        with self.log(key).open("ab") as log:
            self.programs[key] = subprocess.Popen(
                [UNITS / name],
                env={**self.environment, **environment},
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, *names: str) -> list[int]:
        """As a service manager would; how each of them ended."""
        ending = [self.programs[name] for name in names or self.programs]
        for program in ending:
            program.terminate()
        return [program.wait() for program in ending]

    def close(self) -> None:
        for program in self.programs.values():
            program.kill()
            program.wait()
        self._http.close()
        super().close()

    def log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def health(self, port: int = 0) -> dict[str, Any]:
        address = f"http://127.0.0.1:{port or self.port}/v1/vbase/healthz"
        return dict(self._http.get(address).json())

    def reports(self, status: str, port: int = 0) -> bool:
        """False also where an answer of an error has no status."""
        return bool(self.health(port).get("status") == status)

    def _health_if_up(self) -> dict[str, Any]:
        for name, program in self.programs.items():
            assert program.poll() is None, self.log(name).read_text()
        try:
            return self.health()
        except httpx.TransportError:
            return {}


class Logs:
    """Logs of the programs since this object was made."""

    def __init__(self, console: Distributed) -> None:
        self._console = console
        self._begin = {name: console.log(name).stat().st_size for name in console.programs}

    def of(self, program: str) -> str:
        return self._console.log(program).read_text()[self._begin.get(program, 0) :]

    def moves(self, program: str) -> list[tuple[str, str]]:
        return OUTAGE.findall(self.of(program))

    def have(self, what: str, *programs: str) -> bool:
        return all(what in [move for _, move in self.moves(program)] for program in programs)
