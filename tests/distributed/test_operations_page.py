"""The section "Many machines" of docs/operations.md, followed from top to bottom.

The commands are those of the page. Paths, addresses and the package manager of a bare machine are
replaced by those of the test; PostgreSQL, RabbitMQ and the programs of the units are real.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from tests.both_databases import Postgresql, postgresql_server
from tests.distributed.rabbitmq import SERVER, RabbitMQ
from tests.distributed.test_service_units import service_of
from tests.live import PROJECT, wait_for
from tests.ports import free_port

PAGE = (PROJECT / "docs" / "operations.md").read_text()
SECTION = PAGE[PAGE.index("## Many machines") :]
BLOCKS = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
*STEPS, LOOK = BLOCKS
RECORDED = ("apt-get", "useradd", "chgrp", "systemctl")
"""Commands that change the machine itself. They are recorded and not executed."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A bare machine: empty directories in place of /opt, /etc and /var, and a PATH of its own."""

    root: Path
    database: Postgresql
    rabbitmq: RabbitMQ
    port: int = dataclasses.field(default_factory=free_port)
    grpc_port: int = dataclasses.field(default_factory=free_port)

    def prepare(self) -> None:
        for name in ("opt", "etc", "var", "systemd", "bin"):
            (self.root / name).mkdir()
        for entry in PROJECT.iterdir():
            if entry.name not in (".venv", ".git", "var"):
                (self.root / "opt" / entry.name).symlink_to(entry)
        for name in RECORDED:
            self._program(name, f'echo "{name} $*" >> {self.root}/recorded')
        self._program("runuser", 'shift 3; exec "$@"')
        self._program("install", 'for directory; do :; done; mkdir -p "$directory"')
        self._program("psql", f'exec {self.database.programs}/psql "$@"')
        self._program("rabbitmqctl", f'exec {SERVER.with_name("rabbitmqctl")} "$@"')
        pip = f'echo "pip $*" >> {self.root}/recorded'
        self._program(
            "python3",
            f"mkdir -p .venv/bin; cp {self.root}/bin/pip {self.root}/bin/python .venv/bin/",
        )
        self._program("pip", pip)
        self._program("python", f'exec {sys.executable} "$@"')

    def _program(self, name: str, line: str) -> None:
        program = self.root / "bin" / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)

    def here(self, text: str) -> str:
        """The same with this machine's paths and addresses."""
        (socket,) = parse_qs(urlsplit(self.database.url).query)["host"]
        for of_the_page, of_the_test in {
            "/opt/vbase": f"{self.root}/opt",
            "/etc/vbase": f"{self.root}/etc",
            "/var/lib/vbase": f"{self.root}/var",
            "/etc/systemd/system": f"{self.root}/systemd",
            "--host database.example": f"--host {socket}",
            "@database.example": f"@{quote(socket, safe='')}",
            "broker.example:5672": self.rabbitmq.address.rstrip("/"),
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "VBASE_TRUSTED_PROXIES=1": f"VBASE_TRUSTED_PROXIES=1"
            f"\nVBASE_PORT={self.port}\nVBASE_GRPC_PORT={self.grpc_port}",
        }.items():
            text = text.replace(of_the_page, of_the_test)
        return text

    def run(self, *blocks: str) -> str:
        """Return the output of a root shell."""
        script = "\n".join(["set -eu", f"cd {self.root}/opt", *map(self.here, blocks)])
        own = {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "VBASE_ENVIRONMENT": f"{self.root}/etc/environment",
        }
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env={**self.rabbitmq.environment, **own},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def recorded(self, program: str) -> list[list[str]]:
        lines = (self.root / "recorded").read_text().splitlines()
        return [words[1:] for line in lines if (words := shlex.split(line))[0] == program]

    def start(self, unit: str) -> subprocess.Popen[bytes]:
        """As systemd would: its program, with the variables of its file and no others."""
        name = re.sub("@.*", "@", unit)
        service = service_of(self.root / "systemd" / f"{name}.service")
        lines = Path(self.here(service["EnvironmentFile"])).read_text().splitlines()
        environment = dict(line.split("=", 1) for line in lines)
        with (self.root / f"{unit}.log").open("ab") as log:
            return subprocess.Popen(
                self.here(service["ExecStart"]),
                cwd=self.here(service["WorkingDirectory"]),
                env={"PATH": "/usr/bin:/bin", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not SERVER.exists():
        pytest.skip(f"{SERVER} is not there; install Debian's package rabbitmq-server.")
    root = tmp_path_factory.mktemp("machine")
    rabbitmq = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    rabbitmq.start()
    try:
        with postgresql_server() as database:
            machine = Machine(root, database, rabbitmq)
            machine.prepare()
            yield machine
    finally:
        rabbitmq.close()


@pytest.fixture(scope="module")
def said(machine: Machine) -> str:
    """Return the output of the page's steps."""
    return machine.run(*STEPS)


@pytest.fixture(scope="module")
def units(machine: Machine, said: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The programs that the page has enabled."""
    (enabled,) = (words[2:] for words in machine.recorded("systemctl") if words[0] == "enable")
    running = {unit: machine.start(unit) for unit in enabled}
    yield running
    for program in running.values():
        program.terminate()
    for program in running.values():
        program.wait(60)


@pytest.mark.usefixtures("said")
def test_what_it_installs_is_there(machine: Machine) -> None:
    files = [words[-1] for words in machine.recorded("pip")]
    assert [file for file in files if not (PROJECT / file).is_file()] == []
    assert len(files) == 2


def test_the_first_owner_is_told_once_how_to_sign_in(said: str) -> None:
    assert "Sign in as owner@example.com with the password" in said


@pytest.mark.usefixtures("said")
def test_the_role_owns_its_database_and_nothing_else(machine: Machine) -> None:
    with psycopg.connect(machine.database.url) as connection:
        owned = "SELECT datname FROM pg_database d JOIN pg_roles r ON r.oid = datdba "
        found = connection.execute(f"{owned} WHERE rolname = 'vbase' AND NOT rolsuper").fetchall()
    assert found == [("vbase",)]


@pytest.mark.parametrize("name", ["secret_key", "database_url", "broker_url", "environment"])
@pytest.mark.usefixtures("said")
def test_no_stranger_on_the_machine_reads_a_secret(machine: Machine, name: str) -> None:
    assert (machine.root / "etc" / name).stat().st_mode & 0o777 == 0o640
    assert ["vbase", f"{machine.root}/etc/{name}"] in machine.recorded("chgrp")


def test_the_command_that_preparing_prints_opens_the_same_database(
    machine: Machine, said: str
) -> None:
    (printed,) = (line for line in said.splitlines() if "manage.py changepassword" in line)
    asks = "shell -v 0 -c 'from django.db import connection; print(connection.vendor)'"
    assert machine.run(re.sub("changepassword .*", asks, printed)) == "postgresql\n"


def test_all_of_its_units_run_and_the_console_serves(
    machine: Machine, units: dict[str, subprocess.Popen[bytes]]
) -> None:
    assert [unit for unit in units if unit.startswith("vbase-worker@")] == [
        "vbase-worker@1",
        "vbase-worker@2",
    ]
    answer = f"{LOOK.rstrip()} || true"
    wait_for(lambda: '"status":"SERVING","components"' in machine.run(answer))
    assert {unit: program.poll() for unit, program in units.items()} == dict.fromkeys(units)


@pytest.mark.usefixtures("units")
def test_manage_reads_the_environment_of_the_units(machine: Machine) -> None:
    key = machine.run("docs/deploy/manage issue_api_key --organization demo --name ci")
    me = LOOK.replace("/healthz", "/me").replace("curl", f"curl -H 'Authorization: Bearer {key}'")
    assert '"keyName":"ci"' in machine.run(me.replace(key, key.strip()))
