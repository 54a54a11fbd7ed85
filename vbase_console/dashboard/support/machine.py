"""Problems of the machine that answers the request: its disk, and the certificate of gRPC."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from django.conf import settings

from vbase_console.core.quantities import size_text

MIN_FREE_SHARE = 0.05
EXPIRES_SOON = timedelta(days=14)


def machine_problems(now: datetime) -> Iterator[tuple[str, str]]:
    """Yield title and message of each problem."""
    usage = shutil.disk_usage(settings.DATA_DIR)
    if usage.free < MIN_FREE_SHARE * usage.total:
        free, total = size_text(usage.free), size_text(usage.total)
        yield (
            "Disk",
            f"{free} of {total} are free for {settings.DATA_DIR}. Delete unused backups or enlarge "
            "the disk.",
        )
    ends = end_of_certificate(settings.GRPC_TLS_CERT)
    if ends is not None and ends < now + EXPIRES_SOON:
        yield (
            "Certificate of gRPC",
            f"The certificate ends on {ends:%d %b %Y}. Replace it and restart gRPC.",
        )


def end_of_certificate(path: str) -> datetime | None:
    """Return None for a file that this process cannot read as a certificate."""
    try:
        return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
