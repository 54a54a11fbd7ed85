"""TLS by two files, which are read again when they change."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from django.core.exceptions import ImproperlyConfigured
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.live import wait_for
from tests.rpc.conftest import Running
from vbase_console.rpc.tls import Certificate


def make_certificate(directory: Path, name: str) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key beside it."""
    path = directory / f"{name}.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key_of(path)), "-out", str(path)]
    command = ["openssl", "req", "-x509", *curve, *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return path


def key_of(certificate: Path) -> Path:
    return certificate.with_suffix(".key")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path, "used")


@pytest.fixture
def secure(certificate: Path, settings: Any, transactional_db: None) -> Iterator[Running]:
    settings.GRPC_TLS_CERT, settings.GRPC_TLS_KEY = str(certificate), str(key_of(certificate))
    running = Running().start()
    yield running
    running.stop()


def is_trusted(server: Running, authority: Path) -> bool:
    """True if a client that trusts this certificate alone is answered."""
    credentials = grpc.ssl_channel_credentials(authority.read_bytes())
    with grpc.secure_channel(server.address, credentials) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            return bool(stub.Check(health_pb2.HealthCheckRequest(), timeout=30))
        except grpc.RpcError:
            return False


def test_a_renewed_certificate_is_used_without_a_restart(
    secure: Running, certificate: Path, tmp_path: Path
) -> None:
    first = Path(shutil.copy(certificate, tmp_path / "first.pem"))
    wait_for(lambda: is_trusted(secure, first))
    renewed = make_certificate(tmp_path, "renewed")
    key_of(renewed).replace(key_of(certificate))
    assert is_trusted(secure, first), "a key without its certificate was used"
    renewed.replace(certificate)
    wait_for(lambda: is_trusted(secure, certificate))
    assert not is_trusted(secure, first)


def test_a_client_without_tls_is_not_answered(secure: Running, certificate: Path) -> None:
    wait_for(lambda: is_trusted(secure, certificate))
    with grpc.insecure_channel(secure.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Check(health_pb2.HealthCheckRequest(), timeout=30)


def test_a_key_of_another_certificate_is_named(certificate: Path, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other")
    with pytest.raises(ImproperlyConfigured, match="VBASE_GRPC_TLS_CERT and VBASE_GRPC_TLS_KEY"):
        Certificate(certificate, key_of(other)).credentials()
