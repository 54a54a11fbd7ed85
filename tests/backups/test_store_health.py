"""`healthz` tells whether the backup store answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backups import connections
from backups.services.store_health import SILENT, StoreHealth
from backups.stores.base import StoreError
from backups.stores.memory import MemoryStore
from vbase_console.core.component_health import Component, HealthStatus


class Silent(MemoryStore):
    asked = 0

    def ping(self) -> None:
        self.asked += 1
        raise StoreError("Could not list s3://bucket: connection refused.")


@pytest.fixture
def store(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.BACKUP_STORE = str(tmp_path)
    connections.get_store.cache_clear()
    yield tmp_path
    connections.get_store.cache_clear()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    silent = Silent()
    monkeypatch.setattr("backups.services.store_health.get_store", lambda: silent)
    return silent


def test_a_store_that_answers_serves(store: Path) -> None:
    assert StoreHealth()() == Component(status=HealthStatus.SERVING)


def test_a_directory_that_does_not_exist_yet_is_no_outage(store: Path) -> None:
    store.rmdir()
    assert StoreHealth()().status is HealthStatus.SERVING


def test_a_file_instead_of_the_directory_does_not_serve(store: Path) -> None:
    store.rmdir()
    store.write_text("no directory")
    assert StoreHealth()().status is HealthStatus.NOT_SERVING


def test_a_silent_store_is_told_without_its_address(
    silent: Silent, caplog: pytest.LogCaptureFixture
) -> None:
    assert StoreHealth()() == Component(status=HealthStatus.NOT_SERVING, message=SILENT)
    assert "connection refused" in caplog.text


def test_the_store_is_not_asked_for_each_request(silent: Silent) -> None:
    health = StoreHealth()
    assert [health().status for _ in range(3)] == [HealthStatus.NOT_SERVING] * 3
    assert silent.asked == 1
