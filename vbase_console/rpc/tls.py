"""TLS of the server, from two files. A renewed certificate is used without a restart."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
from django.core.exceptions import ImproperlyConfigured

from vbase_console.core.log_throttle import LogThrottle

logger = logging.getLogger(__name__)


class Certificate:
    """Certificate chain and private key, read again when a file has changed."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._lock = threading.Lock()
        self._failures = LogThrottle(minutes=10)
        self._read_version = self._version()

    def credentials(self) -> grpc.ServerCredentials:
        """Raises ImproperlyConfigured if the files are no certificate and its key."""
        try:
            first = self._configuration()
        except OSError as error:  # an SSLError is one
            raise ImproperlyConfigured(
                f"VBASE_GRPC_TLS_CERT and VBASE_GRPC_TLS_KEY cannot be used: {error}. Name a "
                "certificate chain and its private key, both in PEM."
            ) from error
        renewed = cast(Callable[[], grpc.ServerCertificateConfiguration], self._renewed)
        return grpc.dynamic_ssl_server_credentials(first, renewed)

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return a changed pair, called before every handshake. An invalid pair is not used."""
        with self._lock:
            try:
                version = self._version()
                if version == self._read_version:
                    return None
                renewed = self._configuration()
            except OSError as error:
                if self._failures.should_log("tls", error):
                    logger.error("TLS certificate not renewed, the former one is used: %s", error)
                return None
            self._read_version = version
            logger.info("TLS certificate renewed")
            return renewed

    def _version(self) -> tuple[int, int]:
        return self._certificate.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, self._key)  # raises if they do not match
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair])
