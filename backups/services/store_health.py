"""Component *store* of the health response: the store answers, or does not."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from backups.connections import get_store
from backups.stores.base import StoreError
from vbase_console.core.component_health import Component, HealthStatus
from vbase_console.core.log_throttle import LogThrottle

logger = logging.getLogger(__name__)

CACHE_SECONDS: Final = 10.0
SILENT = "The backup store does not answer. Backups and restores wait or fail until it does."


class StoreHealth:
    """The store's last answer. One thread at a time asks the store, the others get the last one."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._throttle = LogThrottle(minutes=10)
        self._answer: tuple[float, Component] | None = None

    def __call__(self) -> Component:
        answer = self._answer
        if answer is None:
            with self._asking:
                return self._renewed()
        if time.monotonic() - answer[0] > CACHE_SECONDS and self._asking.acquire(blocking=False):
            try:
                return self._renewed()
            finally:
                self._asking.release()
        return answer[1]

    def _renewed(self) -> Component:
        component = Component(status=HealthStatus.SERVING)
        try:
            get_store().ping()
        except StoreError as error:
            if self._throttle.should_log("store", error):
                logger.error("backup store: not usable, backups and restores wait: %s", error)
            # The response is public, so the reason is logged only.
            component = Component(status=HealthStatus.NOT_SERVING, message=SILENT)
        else:
            self._throttle.reset("store")
        self._answer = time.monotonic(), component
        return component

    def forget(self) -> None:
        self._answer = None


store_health = StoreHealth()
