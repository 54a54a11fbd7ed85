"""Whatever the network does, an archive is written or the failure is told."""

from __future__ import annotations

import contextlib
import random

import pytest

from backups.archive.damage import ArchiveDamaged
from backups.archive.layout import MANIFEST_NAME
from backups.archive.verify import findings
from backups.stores.base import StoreError
from backups.stores.s3 import S3Store
from tests.archive.conftest import ARCHIVE, small_contents, write_archive
from tests.s3.proxy import HARMLESS, Harm, Proxy, Request, status

HARMS = (
    status(503),
    status(503, reaches_server=False),
    status(500, "InternalError"),
    status(409, "ConditionalRequestConflict", reaches_server=False),
    status(429, reaches_server=False),
    Harm(upload_ends_after=0.5),
    Harm(upload_ends_after=0.0),
    Harm(download_ends_after=0.0),
    Harm(download_ends_after=0.5),
    Harm(announces_more=5),
    Harm(announces_more=-5),
    Harm(alters_upload=True),
    Harm(reaches_server=False, answers=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    Harm(reaches_server=False, answers=b"HTTP/1.1 301 X\r\nContent-Length: 0\r\n\r\n"),
    Harm(reaches_server=False, answers=b"not HTTP\r\n\r\n"),
    Harm(reaches_server=False),
)


@pytest.mark.parametrize("seed", range(24))
def test_an_archive_is_whole_or_none(behind: S3Store, proxy: Proxy, s3: S3Store, seed: int) -> None:
    chosen = random.Random(seed)
    share = chosen.choice([0.1, 0.3, 0.6])

    def plan(request: Request) -> Harm:
        return chosen.choice(HARMS) if chosen.random() < share else HARMLESS

    proxy.plan = plan
    written = False
    with contextlib.suppress(StoreError, ArchiveDamaged):
        write_archive(behind, small_contents())
        written = True
    has_manifest = s3.size(f"{ARCHIVE}/{MANIFEST_NAME}") is not None
    assert has_manifest or not written
    assert not has_manifest or findings(s3, ARCHIVE) == []


@pytest.mark.parametrize("seed", range(8))
def test_what_is_read_is_right_or_an_error(
    behind: S3Store, proxy: Proxy, s3: S3Store, seed: int
) -> None:
    """An altered answer is damage, every other harm is an error of the transfer."""
    write_archive(s3, small_contents())
    chosen = random.Random(seed)

    def plan(request: Request) -> Harm:
        return chosen.choice(HARMS) if chosen.random() < 0.4 else HARMLESS

    proxy.plan = plan
    with contextlib.suppress(StoreError):
        assert findings(behind, ARCHIVE) == []


@pytest.mark.usefixtures("gives_up_soon")
def test_a_success_that_stored_no_manifest_is_not_believed(behind: S3Store, proxy: Proxy) -> None:
    lie = Harm(reaches_server=False, answers=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    proxy.plan = lambda request: (
        lie if request.method == "PUT" and request.name == MANIFEST_NAME else HARMLESS
    )
    with pytest.raises(StoreError, match="manifest"):
        write_archive(behind, small_contents())
