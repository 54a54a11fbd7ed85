"""docs/how-to/bring-back-from-the-bucket.md, followed on a new console."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient

from backups import connections
from backups.models import Backup
from backups.services.backups import plan_backup
from backups.stores.s3 import S3Store
from clusters.models import Cluster
from tests.backups.conftest import fill, rows_of
from tests.live import PROJECT, Api, Console, a_console, wait_for
from tests.s3.server import S3Server, new_url

GUIDE = (PROJECT / "docs" / "how-to" / "bring-back-from-the-bucket.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r" *```sh\n(.*?)```", GUIDE, re.DOTALL)]
START, PROVE, LIST, IMPORT, RESTORE = BLOCKS

Work = Callable[[], int]


@pytest.fixture
def store(s3_url: str, settings: Any) -> Iterator[S3Store]:
    settings.BACKUP_STORE = s3_url
    connections.get_store.cache_clear()
    yield connections.get_store()  # type: ignore[misc]
    connections.get_store.cache_clear()


@pytest.fixture
def lost(cluster: Cluster, milvus: MilvusClient, store: S3Store, work: Work) -> Backup:
    """A backup of a console of which only the bucket is left."""
    fill(milvus)
    backup = plan_backup(cluster, collection_names=["images"]).submit(by="alice").backup
    work()
    backup.refresh_from_db()
    return backup


@pytest.fixture
def console(s3_server: S3Server, tmp_path: Path) -> Iterator[Console]:
    variables = {**s3_server.variables(), "VBASE_BACKUP_STORE": new_url()}
    assert set(re.findall(r"VBASE_\w+(?==)", START)) == set(variables)
    with a_console(tmp_path / "data", **variables) as console:
        yield console.start()


class Reader:
    """A person who follows the guide in a shell."""

    def __init__(self, console: Console, lost: Backup, old: str) -> None:
        self.console = console
        self.words = {
            "s3://bucket/prefix": old,
            "ORGANIZATION/BACKUP": lost.directory,
            "BACKUP": lost.backup_id,
            "127.0.0.1:8000": f"127.0.0.1:{console.port}",
        }

    def run(self, block: str, **words: str) -> str:
        for of_the_guide, of_the_test in {**self.words, **words}.items():
            block = block.replace(of_the_guide, of_the_test)
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", block],
            cwd=PROJECT,
            env={**self.console.environment, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def restored(api: Api, reader: Reader, target: dict[str, Any]) -> str:
    job = json.loads(reader.run(RESTORE, TARGET=target["serviceId"]))["job"]
    path = f"/jobs/{job['jobId']}"
    return str(wait_for(lambda: ended(api.get(path)["job"]["status"])))


def ended(status: str) -> str:
    return status if status not in ("PENDING", "RUNNING") else ""


def test_everything_comes_back(
    lost: Backup, milvus: MilvusClient, store: S3Store, console: Console
) -> None:
    before = rows_of(milvus)
    archive = f"{store.options.url}/{lost.directory}"
    reader = Reader(console, lost, store.options.url)
    assert "has all that is needed" in reader.run(PROVE)
    listed = reader.run(LIST)
    assert archive in listed
    assert "500 rows" in listed
    reader.run(IMPORT)
    api = console.api()
    target = api.created("new")
    assert restored(api, reader, target) == "SUCCEEDED"
    access = api.access(target)
    client = MilvusClient(f"http://{access['endpoint']}:{access['port']}", token=access["token"])
    assert rows_of(client) == before
    client.close()
    assert next(entry.key for entry in store.list("")).startswith(lost.directory)
