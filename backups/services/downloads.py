"""Downloads of backups: slots, and the bytes of one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone

from backups.connections import get_store, open_archive
from backups.discovery import translate_errors
from backups.models import Backup, BackupDownload
from backups.services.locks import lock_backup, require_available
from vbase_console.core.errors import FailedPrecondition, ResourceExhausted
from vbase_console.core.streams import return_stream, take_stream
from vbase_console.organizations.models import Organization

if TYPE_CHECKING:
    from backups.archive.tar import ArchiveTar

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/x-tar"
MAX_PER_ORGANIZATION = 2
MAX_PER_PROCESS = 4
LEASE = timedelta(seconds=60)
"""Time after which the slot of a killed process is free again, and its backup can be deleted."""
RENEWAL_SECONDS = 15.0
SLOWEST_BYTES_PER_SECOND = 16 * 1024
"""A client that reads more slowly on average keeps a thread, and the backup from its deletion."""
PATIENCE_SECONDS = 600.0
"""Time before the average counts."""

_process_slots = threading.BoundedSemaphore(MAX_PER_PROCESS)


class SlotLost(Exception):
    """The slot has expired, so that the backup may be deleted, or the client reads too slowly. The
    connection is cut.
    """


class Download:
    """Bytes of one download. `close` returns its slot, also if no byte was read."""

    def __init__(self, slot: BackupDownload, tar: ArchiveTar) -> None:
        self._slot, self.size = slot, tar.size
        self._pieces: Generator[bytes, None, None] = tar.pieces()
        self._begun_at, self._sent = time.monotonic(), 0
        self._renew_at = self._begun_at + RENEWAL_SECONDS
        self._is_open = True

    def response(self) -> StreamingHttpResponse:
        """Return the response of API and pages, which closes the download."""
        headers = {
            "Content-Length": str(self.size),
            "Content-Disposition": f'attachment; filename="{self._slot.backup.name}.tar"',
        }
        return StreamingHttpResponse(self, content_type=MEDIA_TYPE, headers=headers)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if time.monotonic() > self._renew_at:
            self._renew()
        try:
            self._refuse_slow_client()
            piece = next(self._pieces)
            self._sent += len(piece)
            return piece
        except StopIteration:
            raise
        except Exception as error:
            logger.warning("%s: download cut: %s", self._slot.backup_id, error)
            raise

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._pieces.close()
        _return_place()
        BackupDownload.objects.filter(pk=self._slot.pk).delete()

    def _refuse_slow_client(self) -> None:
        seconds = time.monotonic() - self._begun_at
        if seconds > PATIENCE_SECONDS and self._sent < seconds * SLOWEST_BYTES_PER_SECOND:
            raise SlotLost(f"The client of {self._slot.backup_id} reads too slowly.")

    def _renew(self) -> None:
        self._renew_at = time.monotonic() + RENEWAL_SECONDS
        slot = BackupDownload.objects.filter(pk=self._slot.pk, expires_at__gt=timezone.now())
        if not slot.update(expires_at=timezone.now() + LEASE):
            raise SlotLost(f"The download of {self._slot.backup_id} stood still for too long.")


def begin_download(backup: Backup) -> Download:
    """Take a slot and open the archive. The caller must close the download.

    Raises ResourceExhausted without a free slot, and FailedPrecondition for a damaged backup.
    """
    require_available(backup)
    if backup.is_damaged:
        raise FailedPrecondition(f"{backup.name} is damaged: {backup.damage_text}. Verify it.")
    _take_place()
    slot = None
    try:
        slot = _take_slot(backup)
        from backups.archive.tar import ArchiveTar

        with translate_errors():
            return Download(slot, ArchiveTar(get_store(), open_archive(backup), backup.name))
    except BaseException:
        if slot is not None:
            slot.delete()
        _return_place()
        raise


def _take_place() -> None:
    """Raises ResourceExhausted without a free place in this process."""
    if _process_slots.acquire(blocking=False):
        if take_stream():
            return
        _process_slots.release()
    raise ResourceExhausted("Too many downloads are in progress. Try again later.")


def _return_place() -> None:
    return_stream()
    _process_slots.release()


@transaction.atomic
def _take_slot(backup: Backup) -> BackupDownload:
    """Lock the backup, so that no deletion is accepted meanwhile, and then the organization, whose
    downloads are counted one request at a time.
    """
    backup = lock_backup(backup)
    require_available(backup)
    Organization.objects.select_for_update(no_key=True).get(pk=backup.organization_id)
    now = timezone.now()
    BackupDownload.objects.filter(expires_at__lte=now).delete()
    if BackupDownload.objects.filter(organization=backup.organization_id).count() >= (
        MAX_PER_ORGANIZATION
    ):
        raise ResourceExhausted(
            f"Your organization has {MAX_PER_ORGANIZATION} downloads in progress. Try again when "
            "one of them has ended."
        )
    return BackupDownload.objects.create(
        organization_id=backup.organization_id, backup=backup, expires_at=now + LEASE
    )
